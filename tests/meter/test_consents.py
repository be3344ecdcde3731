"""The ledger judges each answer by the consent it relies on, as it stands at that instant (G3)."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, select

from consent.changing import Act
from consent.model import ONCE, TIMES_PER_DAY, Actor, Consent
from consent.sql import SqlConsents
from consent.states import EXHAUSTED
from consent.tables import CONSENT_USE
from consent.uses import Use
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.consents.subject_uses import SubjectUses
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, NotCharged, Outcome, Replayed, Stale, UsageClaim
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from tests import consenting
from tests.clock import StandingClock
from tests.consenting import terms
from tests.meter.world import (
    DAY,
    MIDNIGHT,
    NOW,
    REPLAY_SECONDS,
    Disclosure,
    admitted,
    claim,
    company,
    paused_before_commit,
    stored,
    with_lines,
)
from tests.receipts import RECEIPTS
from tests.stores import PostgresStores, engines_of

STALE = Stale()
REUSED = NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED)


class World:
    """A ledger, and consents beside it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.consents = SqlConsents(engine)
        self.ledger = UsageLedger(with_lines(engine), StandingClock(), RECEIPTS)

    def given(self, **changed: Any) -> Consent:
        """Return a live consent of a company to alpha."""
        return consenting.given(self.consents, company(1), terms(["rating"], **changed))

    def commit(self, *claims: UsageClaim) -> list[Outcome]:
        """Commit one group."""
        return self.ledger.commit(claims)

    def uses(self, consent: Consent) -> dict[int, tuple[int, int | None]]:
        """Return answers counted, and when records were served last, by day."""
        query = select(CONSENT_USE).where(CONSENT_USE.c.consent_id == consent.consent_id)
        with reading(self.engine) as connection:
            return {row.day: (row.answered, row.last_at) for row in connection.execute(query)}


@pytest.fixture
def world(records_engine: Engine) -> World:
    """A world on an empty store."""
    return World(records_engine)


def relying(request_id: str, consent: Consent, entries: Any = (1,), **changes: Any) -> UsageClaim:
    """Return a claim that relies on a consent."""
    return claim(request_id, entries, relies_on=consent, **changes)


def exhausted(retry_after: int = 0) -> NotCharged:
    """Return what a claim is told whose consent was used as often as it allows."""
    return NotCharged(RefusalReason.REFUSAL_REASON_CONSENT_EXHAUSTED, retry_after)


def test_an_answer_names_the_consent_it_relies_on_and_is_counted(world: World) -> None:
    consent = world.given(access_mode=TIMES_PER_DAY, times_per_day=100)
    outcomes = world.commit(
        relying("r-1", consent), claim("r-2", [1]), relying("r-3", consent, (), served_at=NOW + 5)
    )
    assert outcomes == [Charged(7), Charged(7), Charged(0)]
    rows = [(row.request_id, row.consent) for row in stored(world.engine)]
    assert rows == [("r-1", consent.name), ("r-2", ""), ("r-3", consent.name)]
    # When records were served last: the other answer left nothing to be removed.
    assert world.uses(consent) == {NOW // DAY: (2, NOW)}
    assert world.consents.uses([consent.consent_id]) == {consent.consent_id: Use(2, NOW)}
    for request_id, entries, at, last_at in (
        ("r-4", (), NOW + 6, NOW),
        ("r-5", (1,), NOW + 7, NOW + 7),
        ("r-6", (1,), NOW + 3, NOW + 7),
        ("r-7", (), NOW + DAY, None),
        ("r-8", (1,), NOW + DAY, NOW + DAY),
    ):
        world.commit(relying(request_id, consent, entries, served_at=at))
        assert world.uses(consent)[at // DAY][1] == last_at


def test_a_consent_without_a_limit_is_counted_by_its_answers(world: World) -> None:
    """However far the index of uses has come."""
    assert Disclosure(world.engine).publish(admitted("a")) == [1]
    consent, other = world.given(), world.given()
    index = SubjectUses(world.engine)

    def use() -> Use | None:
        return world.consents.uses([consent.consent_id, other.consent_id]).get(consent.consent_id)

    assert use() is None
    world.commit(relying("r-1", consent, ()), claim("r-2", [1]), relying("r-3", other))
    assert use() == Use(1, None)
    while index.index_more(consent.operator_id):
        pass
    assert use() == Use(1, None)
    world.commit(relying("r-4", consent, (1,), served_at=NOW + 4))
    world.commit(relying("r-4", consent, (1,), served_at=NOW + 5), relying("r-5", consent, ()))
    assert use() == Use(3, NOW + 4)
    while index.index_more(consent.operator_id):
        pass
    assert use() == Use(3, NOW + 4)
    assert world.uses(consent) == {}


@pytest.mark.parametrize("move", ["revoke", "pause"])
def test_a_change_committed_before_the_claim_makes_it_stale(world: World, move: Any) -> None:
    consent, kept = world.given(), world.given()
    consenting.moved(world.consents, consent, move)
    outcomes = world.commit(relying("r-1", consent), relying("r-2", kept), claim("r-3", [1]))
    assert outcomes == [STALE, Charged(7), Charged(7)]
    assert world.commit(relying("r-1", consent), relying("r-4", kept)) == [STALE, Charged(7)]
    assert world.uses(consent) == {}


def test_a_retry_needs_the_consent_live_too(world: World) -> None:
    consent = world.given()
    assert world.commit(relying("r-1", consent)) == [Charged(7)]
    assert world.commit(relying("r-1", consent)) == [Replayed("d-r-1")]
    revoked = consenting.moved(world.consents, consent, "revoke", NOW + 1)
    # Neither by the consent as it was nor by it as it is.
    assert world.commit(relying("r-1", consent)) == [STALE]
    assert world.commit(relying("r-1", revoked)) == [STALE]


def test_a_consent_the_store_does_not_have_is_relied_on_by_nothing(world: World) -> None:
    invented = consenting.requested(company(1), terms(["rating"]))
    assert world.commit(relying("r-1", invented)) == [STALE]
    asked = consenting.asked(world.consents, company(1), terms(["rating"]))
    assert world.commit(relying("r-2", asked)) == [STALE]


def test_a_consent_for_one_use_answers_once_and_its_retries(world: World) -> None:
    consent = world.given(access_mode=ONCE)
    outcomes = world.commit(
        relying("r-1", consent),
        relying("r-2", consent),
        relying("r-3", consent, (), served_at=MIDNIGHT),
        relying("r-1", consent),
    )
    assert outcomes == [Charged(7), exhausted(), exhausted(), Replayed("d-r-1")]
    assert world.commit(relying("r-4", consent, served_at=MIDNIGHT)) == [exhausted()]
    written = world.consents.settle(consent.consent_id, NOW + 1)
    assert written.state == EXHAUSTED
    assert world.commit(relying("r-1", consent)) == [STALE]
    late = relying("r-1", written, served_at=NOW + REPLAY_SECONDS)
    outcomes = world.commit(relying("r-1", written), relying("r-5", written), late)
    assert outcomes == [Replayed("d-r-1"), exhausted(), REUSED]
    assert world.uses(consent) == {NOW // DAY: (1, NOW)}


def free(request_id: str, consent: Consent, entries: Any = (1,), **changes: Any) -> UsageClaim:
    """Return a claim that relies on a consent, of records without a price."""
    return relying(request_id, consent, entries, lines=(), **changes)


def used_up(world: World, *, request_id: str = "r-1") -> Consent:
    """Return a consent for one use that was used, by a request, and is written as ended."""
    consent = world.given(access_mode=ONCE)
    assert world.commit(free(request_id, consent)) == [Charged(0)]
    return world.consents.settle(consent.consent_id, NOW + 1)


def removal_acknowledged(consents: SqlConsents, consent: Consent) -> None:
    """Say that the copies made under a consent are gone."""
    assert consents.acknowledge(
        consent.consent_id, consent.operator_id, NOW + 1, consent.client_id, NOW + 1
    )


def test_no_retry_is_answered_once_the_removal_of_copies_was_acknowledged(world: World) -> None:
    consent, other = used_up(world), used_up(world, request_id="r-2")
    assert world.commit(free("r-1", consent)) == [Replayed("d-r-1")]
    removal_acknowledged(world.consents, consent)
    outcomes = world.commit(
        free("r-1", consent),
        free("r-2", other),
        free("r-1", consent, (), may_be_empty=False),
        claim("r-3", [1], lines=()),
    )
    assert outcomes == [exhausted(), Replayed("d-r-2"), exhausted(), Charged(0)]
    assert world.uses(consent) == {NOW // DAY: (1, NOW)}


def test_a_retry_waits_for_an_acknowledgement_in_progress_and_is_refused_then(
    postgres_stores: PostgresStores,
) -> None:
    """SQLite has one writer at a time anyway."""
    with postgres_stores.database() as store, engines_of(*store) as engines:
        world = World(engines.records)
        consent = used_up(world)
        with (
            ThreadPoolExecutor(1) as pool,
            paused_before_commit(
                engines.records, lambda: removal_acknowledged(world.consents, consent)
            ) as go_on,
        ):
            outcome = pool.submit(world.commit, free("r-1", consent))
            with pytest.raises(TimeoutError):
                outcome.result(0.5)
            go_on()
            assert outcome.result(10) == [exhausted()]


def test_no_retry_follows_an_acknowledgement_on_any_process(store: tuple[str, Path]) -> None:
    with engines_of(*store) as one, engines_of(*store) as two:
        world = World(two.records)
        consent = used_up(world)
        acknowledged, served = Event(), Event()

        def retry() -> bool:
            ledger = UsageLedger(with_lines(one.records), StandingClock(), RECEIPTS)
            for number in range(10_000):
                begun_after = acknowledged.is_set()
                (outcome,) = ledger.commit([free("r-1", consent)])
                if outcome == exhausted():
                    return True
                assert outcome == Replayed("d-r-1")
                assert not begun_after
                if number == 20:
                    served.set()
                time.sleep(0.002)
            return False

        with ThreadPoolExecutor(1) as pool:
            retrying = pool.submit(retry)
            assert served.wait(30)
            removal_acknowledged(world.consents, consent)
            acknowledged.set()
            assert retrying.result(30)


def test_a_consent_by_the_day_answers_so_often_each_utc_day(world: World) -> None:
    consent = world.given(access_mode=TIMES_PER_DAY, times_per_day=2)

    def asked(number: int, at: int) -> UsageClaim:
        return relying(f"r-{number}", consent, served_at=at)

    eve, morning = MIDNIGHT - 1, MIDNIGHT
    assert world.commit(asked(1, eve), asked(2, eve)) == [Charged(7), Charged(7)]
    assert world.commit(asked(3, eve), asked(1, eve), asked(4, morning), asked(5, morning)) == [
        exhausted(1), Replayed("d-r-1"), Charged(7), Charged(7),
    ]  # fmt: skip
    assert world.commit(asked(6, morning)) == [exhausted(DAY)]
    day = MIDNIGHT // DAY
    assert world.uses(consent) == {day - 1: (2, eve), day: (2, morning)}


def test_what_is_not_charged_is_not_counted(world: World) -> None:
    consent = world.given(access_mode=ONCE)
    refusals = world.commit(
        relying("r-1", consent, (1, 2), daily_quota=0),
        relying("r-2", consent, (), may_be_empty=False),
        relying("r-3", consent, good_until=NOW),
    )
    assert [type(outcome) for outcome in refusals] == [NotCharged, NotCharged, Stale]
    assert world.uses(consent) == {}
    assert world.commit(relying("r-4", consent)) == [Charged(7)]


def test_a_used_up_consent_refuses_alike_whether_there_is_something_or_not(world: World) -> None:
    consent = world.given(access_mode=ONCE)
    world.commit(relying("r-1", consent))
    asked = [relying("r-2", consent, entries, may_be_empty=False) for entries in ((1,), ())]
    assert world.commit(*asked) == [exhausted()] * 2


def test_the_last_answer_is_the_newest_whatever_the_clock_did(world: World) -> None:
    consent = world.given(access_mode=TIMES_PER_DAY, times_per_day=100)
    world.commit(
        relying("r-1", consent, served_at=NOW + 9), relying("r-2", consent, served_at=NOW + 4)
    )
    world.commit(relying("r-3", consent, served_at=NOW + 6))
    assert world.uses(consent) == {NOW // DAY: (3, NOW + 9)}


def test_an_answer_and_the_end_of_its_consent_owe_the_removal(world: World) -> None:
    """Whoever ends a consent knows of every answer given before."""
    consent = world.given()
    world.commit(relying("r-1", consent))
    consenting.moved(world.consents, consent, "revoke", NOW + 10)
    assert world.consents.removals([consent.consent_id])[consent.consent_id].deadline == (
        NOW + 10 + DAY
    )


def test_a_claim_waits_for_a_revocation_in_progress_and_for_no_other_consents(
    postgres_stores: PostgresStores,
) -> None:
    """SQLite has one writer at a time anyway."""
    with postgres_stores.database() as store, engines_of(*store) as engines:
        world = World(engines.records)
        consent, other = world.given(), world.given()
        with (
            ThreadPoolExecutor(1) as pool,
            paused_before_commit(
                engines.records, lambda: consenting.moved(world.consents, consent, "revoke")
            ) as go_on,
        ):
            assert world.commit(relying("r-1", other), claim("r-2", [1])) == [Charged(7)] * 2
            outcome = pool.submit(world.commit, relying("r-3", consent))
            with pytest.raises(TimeoutError):
                outcome.result(0.5)
            go_on()
            assert outcome.result(10) == [STALE]


def test_two_processes_never_count_past_a_consent(store: tuple[str, Path]) -> None:
    """Each process a ledger of its own; requests of one or of both, in groups."""
    with engines_of(*store) as one, engines_of(*store) as two:
        first = World(one.records)
        once = [first.given(access_mode=ONCE) for _ in range(8)]
        daily = first.given(access_mode=TIMES_PER_DAY, times_per_day=5)

        def run(engine: Engine, name: str) -> list[tuple[Consent, Outcome]]:
            ledger = UsageLedger(with_lines(engine), StandingClock(), RECEIPTS)
            told: list[tuple[Consent, Outcome]] = []
            for number, consent in enumerate(once):
                asked = [consent, daily, daily]
                claims = [
                    relying(f"{name}-{number}-{place}", each) for place, each in enumerate(asked)
                ]
                told += zip(asked, ledger.commit(claims), strict=True)
            return told

        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(run, one.records, "one"), pool.submit(run, two.records, "two")]
            told = [each for running in runs for each in running.result(60)]
        for consent in once:
            assert [out for to, out in told if to is consent].count(Charged(7)) == 1
            assert first.uses(consent) == {NOW // DAY: (1, NOW)}
        assert [out for to, out in told if to is daily].count(Charged(7)) == 5
        with reading(one.records) as connection:
            named = connection.execute(select(USAGE.c.consent)).scalars().all()
        assert len(named) == 8 + 5


def test_no_answer_follows_a_revocation_that_was_acknowledged(store: tuple[str, Path]) -> None:
    """Two processes serve under a consent as fast as they can while a third ends it."""
    with engines_of(*store) as one, engines_of(*store) as two, engines_of(*store) as three:
        world = World(three.records)
        consent = world.given()
        revoked, served = Event(), Event()

        def run(engine: Engine, name: str) -> list[bool]:
            ledger = UsageLedger(with_lines(engine), StandingClock(), RECEIPTS)
            late: list[bool] = []
            for number in range(10_000):
                begun_after = revoked.is_set()
                (outcome,) = ledger.commit([relying(f"{name}-{number}", consent)])
                late.append(begun_after and outcome == Charged(7))
                if number == 20:
                    served.set()
                if outcome == STALE:
                    break
                # As a committer does under load.
                time.sleep(0.002)
            return late

        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(run, one.records, "one"), pool.submit(run, two.records, "two")]
            assert served.wait(30)
            consenting.moved(world.consents, consent, "revoke", NOW + 1)
            answered = world.consents.uses([consent.consent_id])
            revoked.set()
            assert not any(late for running in runs for late in running.result(30))
        # What the revocation counted is all there ever was.
        assert world.consents.uses([consent.consent_id]) == answered
        assert len(stored(three.records)) == answered[consent.consent_id].answered


def test_moving_a_consent_and_relying_on_it_never_wait_for_each_other(
    store: tuple[str, Path],
) -> None:
    """PostgreSQL would end one of two that do."""
    with engines_of(*store) as one, engines_of(*store) as two:
        world = World(one.records)
        operators = ["alpha", "beta"] * 3
        given = [
            consenting.given(world.consents, company(1), terms(["rating"]), operator_id=name)
            for name in operators
        ]

        def pause_and_resume() -> None:
            for _ in range(10):
                for consent in given:
                    consenting.moved(world.consents, consent, "pause")
                    consenting.moved(world.consents, consent, "resume")

        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(pause_and_resume)
            ledger = UsageLedger(with_lines(two.records), StandingClock(), RECEIPTS)
            numbers = count()
            while not moving.done():
                current = [world.consents.get(each.consent_id) for each in reversed(given)]
                ledger.commit(
                    [
                        relying(f"r-{next(numbers)}", each, operator_id=each.operator_id)
                        for each in current
                        if each
                    ]
                )
            moving.result()


def test_a_claim_that_waited_for_its_consent_past_what_it_rests_on_is_stale(
    postgres_stores: PostgresStores,
) -> None:
    """Who looks whether a consent is over locks it without changing what it opens."""
    with postgres_stores.database() as store, engines_of(*store) as engines:
        consents = SqlConsents(engines.records)
        asked = consenting.asked(consents, company(1), terms(["rating"]))
        act = Act(Actor.SUBJECT, "", "", NOW)
        consent = consents.move(asked.consent_id, "grant", act, also={"receipt": "signed"})
        clock = StandingClock()
        ledger = UsageLedger(with_lines(engines.records), clock, RECEIPTS)
        made = relying("r-1", consent, good_until=NOW + 2)
        with (
            ThreadPoolExecutor(1) as pool,
            paused_before_commit(
                engines.records, lambda: consents.settle(consent.consent_id, NOW)
            ) as go_on,
        ):
            outcome = pool.submit(ledger.commit, [made])
            with pytest.raises(TimeoutError):
                outcome.result(0.3)
            clock.at = NOW + 2
            go_on()
            assert outcome.result(10) == [STALE]
        clock.at = NOW + 1
        assert ledger.commit([made]) == [Charged(7)]
