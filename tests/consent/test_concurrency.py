"""At once, changes and answers are what they would be one after the other (G3)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, pairwise
from statistics import fmean
from threading import Barrier, Event
from time import monotonic
from typing import Any

import pytest

from consent.delegations_sql import SqlDelegations
from consent.model import TIMES_PER_DAY, Consent, ConsentTerms
from consent.states import EXPIRED, FINAL, GRANTED, PAUSED, REQUESTED, Move, moved
from creditgate.refusal import Refused
from creditgate.v1.consent_service_pb2 import ConsentState
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, Outcome, Replayed, Stale
from tests.clock import NOW, StandingClock
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import (
    DEPUTY,
    OPERATOR,
    SIGNER,
    act,
    asked,
    consent,
    delegation,
    once,
    terms,
)
from tests.meter.world import claim
from tests.receipts import RECEIPTS

THREADS = 8


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls at the same time, each in a thread, and return what each gave."""
    start = Barrier(len(calls))

    def make(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(make, calls))


def tried(call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call that gives the reason where it is refused."""

    def make() -> Any:
        try:
            return call()
        except Refused as refused:
            return reason_of(refused)

    return make


def require_path(states: Sequence[ConsentState.ValueType], moves: Sequence[Move]) -> None:
    """Require that each state follows from the one before by one of the moves."""
    for before, after in pairwise(states):
        assert before not in FINAL
        assert after in {moved(before, move, held=False) for move in moves}


@pytest.mark.parametrize("round_no", range(3))
def test_of_moves_made_at_once_each_follows_from_the_one_before(
    consents: ConsentStore, round_no: int
) -> None:
    del round_no
    made = consents.requested(terms=terms(valid_until=NOW + 10))
    moves: tuple[Move, ...] = ("grant", "refuse", "pause", "resume", "revoke", "grant", "pause")
    calls = [
        tried(lambda move=move: consents.move(made.consent_id, move, act(NOW + 1)))
        for move in moves
    ]
    calls.append(tried(lambda: consents.settle(made.consent_id, NOW + 10)))
    results = at_once(*calls)
    states = [change.state for change in consents.changes(consent_id=made.consent_id, limit=99)]
    assert states[0] == REQUESTED
    require_path(states, (*moves, "expire"))
    written = consents.get(made.consent_id)
    assert written is not None
    assert (written.state, written.version) == (states[-1], len(states))
    granted = [each for each in results if isinstance(each, Consent)]
    # Each change was told to whoever made it; a time's end may be told to several.
    assert {each.version for each in granted} >= set(range(2, len(states) + 1)) - {
        number for number, state in enumerate(states, 1) if state == EXPIRED
    }


def test_of_answers_given_at_once_to_one_request_one_counts(consents: ConsentStore) -> None:
    made = consents.requested()
    moves: tuple[Move, ...] = ("grant", "refuse") * (THREADS // 2)
    results = at_once(
        *(
            tried(lambda move=move: consents.move(made.consent_id, move, act(), expected_version=1))
            for move in moves
        )
    )
    assert len([each for each in results if isinstance(each, Consent)]) == 1
    assert results.count("ETAG_MISMATCH") == THREADS - 1
    assert consents.head() == 2


def test_one_request_made_at_once_makes_one_consent(consents: ConsentStore) -> None:
    wanted = [consent(request_id="same") for _ in range(THREADS)]
    results = at_once(*(lambda made=made: consents.add(made, asked()) for made in wanted))
    assert {each.consent_id for each in results} == {consents.listed(limit=9)[0].consent_id}
    assert len(consents.listed(limit=9)) == 1
    assert consents.head() == 1


@pytest.mark.parametrize(
    ("agreed", "allowed"),
    [(once(), 1), (terms(access_mode=TIMES_PER_DAY, times_per_day=3), 3)],
    ids=["once", "three times a day"],
)
def test_at_once_no_more_is_answered_than_the_consent_allows(
    consents: ConsentStore, agreed: ConsentTerms, allowed: int
) -> None:
    made = consents.granted(terms=agreed)
    outcomes = at_once(
        *(lambda number=number: consents.use(made, NOW, f"u-{number}") for number in range(THREADS))
    )
    assert len([each for each in outcomes if isinstance(each, Charged)]) == allowed
    assert consents.uses([made.consent_id])[made.consent_id].answered == allowed


def test_a_request_sent_twice_at_once_is_answered_twice_and_counted_once(
    consents: ConsentStore,
) -> None:
    made = consents.granted(terms=once())
    outcomes = at_once(*(lambda: consents.use(made) for _ in range(THREADS)))
    assert sorted(type(each).__name__ for each in outcomes) == [
        Charged.__name__,
        *[Replayed.__name__] * (THREADS - 1),
    ]
    assert consents.uses([made.consent_id])[made.consent_id].answered == 1


@pytest.mark.parametrize("end", ["revoke", "pause", "settle"])
def test_after_an_end_is_written_no_answer_is_given(consents: ConsentStore, end: str) -> None:
    made = consents.granted(terms=terms(valid_until=NOW + 10))
    ended, enough = Event(), Event()
    served: list[Outcome] = []

    def use(worker: int) -> None:
        number = 0
        while True:
            over = ended.is_set()
            outcome = consents.use(made, NOW, f"u-{worker}-{number}")
            number += 1
            if over:
                assert isinstance(outcome, Stale)
                return
            if isinstance(outcome, Charged):
                served.append(outcome)
                enough.set()

    with ThreadPoolExecutor(4) as threads:
        workers = [threads.submit(use, worker) for worker in range(4)]
        assert enough.wait(30)
        if end == "settle":
            consents.settle(made.consent_id, NOW + 10)
        else:
            consents.move(made.consent_id, "pause" if end == "pause" else "revoke", act())
        answered = consents.uses([made.consent_id])[made.consent_id].answered
        ended.set()
        for worker in workers:
            worker.result()
    assert consents.uses([made.consent_id])[made.consent_id].answered == answered == len(served)
    assert bool(consents.removals([made.consent_id])) == (end != "pause")


def test_a_change_soon_comes_between_answers_that_follow_without_a_pause(
    consents: ConsentStore,
) -> None:
    made = consents.granted()
    begun, enough = Event(), Event()

    def answer() -> None:
        ledger = UsageLedger(consents.engine, StandingClock(), RECEIPTS)
        for number in count():
            ledger.commit([claim(f"u-{number}")])
            begun.set()
            if enough.is_set():
                break
        ledger.close()

    waited: list[float] = []
    with ThreadPoolExecutor(1) as threads:
        answering = threads.submit(answer)
        assert begun.wait(30)
        for number in range(9):
            since = monotonic()
            consents.move(made.consent_id, "resume" if number % 2 else "pause", act())
            waited.append(monotonic() - since)
        enough.set()
        answering.result()
    # G4 gives a second for all of it.
    assert fmean(waited) < 0.3, waited


def test_after_a_delegation_is_withdrawn_its_deputy_answers_nothing(
    consents: ConsentStore,
) -> None:
    delegations = SqlDelegations(consents.engine)
    made = delegations.invite(delegation(), b"d" * 32)
    assert delegations.accept(b"d" * 32, DEPUTY, NOW) is not None
    also = {"signer": DEPUTY, "delegation": made.delegation_id}
    withdrawn, enough = Event(), Event()

    def answer() -> None:
        while True:
            over = withdrawn.is_set()
            wanted = consents.requested().consent_id
            result = tried(partial(consents.move, wanted, "grant", act(), also=also))()
            if over:
                assert result == "STATE_CONFLICT"
                return
            enough.set()

    with ThreadPoolExecutor(4) as threads:
        answering = [threads.submit(answer) for _ in range(4)]
        assert enough.wait(30)
        delegations.end(made.delegation_id, SIGNER, NOW)
        head = consents.head()
        withdrawn.set()
        for each in answering:
            each.result()
    after = consents.changes(after=head, limit=999)
    assert GRANTED not in {change.state for change in after}


def test_a_removal_acknowledged_at_once_is_new_once(consents: ConsentStore) -> None:
    for round_no in range(10):
        made = consents.granted()
        consents.use(made, NOW, f"u-{round_no}")
        consents.move(made.consent_id, "revoke", act(NOW + 1))
        acknowledge = partial(
            consents.acknowledge, made.consent_id, OPERATOR, NOW + 2, "client", NOW + 3
        )
        results = at_once(*[acknowledge] * THREADS)
        assert sorted(results) == [False] * (THREADS - 1) + [True]


def test_whoever_follows_the_changes_misses_none(consents: ConsentStore) -> None:
    made = [consents.granted() for _ in range(4)]
    begun = consents.head()
    followed: list[tuple[int, str, int]] = []
    done = Event()

    def follow() -> None:
        after = begun
        while True:
            last_look = done.is_set()
            for change in consents.changes(after=after, limit=3):
                followed.append((change.sequence, change.consent_id, change.state))
                after = change.sequence
            if last_look and after == consents.head():
                return

    def change(each: Consent) -> None:
        for number in range(10):
            consents.move(each.consent_id, "resume" if number % 2 else "pause", act())

    with ThreadPoolExecutor(5) as threads:
        following = threads.submit(follow)
        for changing in [threads.submit(change, each) for each in made]:
            changing.result()
        done.set()
        following.result()
    assert [sequence for sequence, _, _ in followed] == list(range(begun + 1, begun + 41))
    for each in made:
        states = [state for _, consent_id, state in followed if consent_id == each.consent_id]
        assert states == [PAUSED, GRANTED] * 5
