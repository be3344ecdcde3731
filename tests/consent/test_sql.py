"""A store of consents keeps what was agreed, each change of it, and what is owed after."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from consent.histories import History
from consent.model import COUNTERSIGNED, TIMES_PER_DAY, Actor
from consent.states import (
    EXHAUSTED,
    EXPIRED,
    GRANTED,
    PAUSED,
    REQUESTED,
    REVOKED,
    Move,
)
from consent.subject_keys import SqlSubjectKeys, SubjectKey
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.model import Charged
from tests.clock import NOW
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import (
    DAY,
    OPERATOR,
    OTHER_COMPANY,
    OTHER_OPERATOR,
    SIGNER,
    act,
    asked,
    consent,
    once,
    terms,
)
from tests.people import COMPANY


def refusal(consents: ConsentStore, consent_id: str, move: Move, **how: Any) -> str:
    """Return why a move is refused."""
    with pytest.raises(Refused) as caught:
        consents.move(consent_id, move, how.pop("act", act()), **how)
    return reason_of(caught.value)


def test_a_consent_is_kept_as_it_was_asked_for(consents: ConsentStore) -> None:
    made = consents.requested()
    assert consents.get(made.consent_id) == made
    (change,) = consents.changes(limit=10)
    assert (change.sequence, change.state, change.actor) == (1, REQUESTED, Actor.OPERATOR)
    assert consents.get("no such consent") is None


def test_a_request_for_consent_repeated_is_the_same_request(consents: ConsentStore) -> None:
    made = consents.granted()
    again = made.model_copy(
        update={"consent_id": "another-id", "requested_at": NOW + 9, "answer_until": NOW + 99}
    )
    assert consents.add(again, asked(NOW + 9)) == made
    assert consents.was_asked(made.operator_id, made.request_id)
    assert not consents.was_asked("another-operator", made.request_id)
    assert not consents.was_asked(made.operator_id, "another-request")
    assert len(consents.listed(limit=10)) == 1
    assert consents.head() == 2


@pytest.mark.parametrize(
    "other",
    [
        {"subject": OTHER_COMPANY},
        {"terms": once()},
        {"message": "something else"},
        {"language": "en"},
        {"client_id": "another-client"},
        {"way": "code"},
    ],
)
def test_a_request_id_used_for_something_else_is_refused(
    consents: ConsentStore, other: dict[str, Any]
) -> None:
    made = consents.requested()
    with pytest.raises(Refused) as caught:
        consents.add(consent(**{"request_id": made.request_id, **other}), asked())
    assert reason_of(caught.value) == "REQUEST_ID_REUSED"
    assert consents.listed(limit=10) == (made,)
    assert consents.head() == 1


def test_request_ids_of_two_operators_are_their_own(consents: ConsentStore) -> None:
    made = consents.requested()
    other = consents.requested(request_id=made.request_id, operator_id=OTHER_OPERATOR)
    assert {each.consent_id for each in consents.listed(limit=10)} == {
        made.consent_id,
        other.consent_id,
    }


def test_an_answer_is_written_with_who_gave_it(consents: ConsentStore) -> None:
    made = consents.requested()
    granted = consents.move(
        made.consent_id,
        "grant",
        act(NOW + 5),
        expected_version=1,
        also={"signer": SIGNER, "granted_at": NOW + 5, "receipt": "a.b.c"},
    )
    assert (granted.state, granted.version, granted.changed_at) == (GRANTED, 2, NOW + 5)
    assert (granted.signer, granted.granted_at, granted.receipt) == (SIGNER, NOW + 5, "a.b.c")
    assert granted.ended_at is None
    assert consents.get(made.consent_id) == granted
    assert granted.terms == made.terms


def test_a_move_cannot_change_what_was_agreed(consents: ConsentStore) -> None:
    made = consents.requested()
    for field in ("terms", "subject", "operator_id", "state", "version", "subject_signature"):
        with pytest.raises(ValueError, match="only what belongs to the answer"):
            consents.move(made.consent_id, "grant", act(), also={field: "x"})
    assert consents.get(made.consent_id) == made


def test_every_change_is_told_in_order(consents: ConsentStore) -> None:
    made = consents.granted()
    other = consents.granted(operator_id=OTHER_OPERATOR, subject=OTHER_COMPANY)
    consents.move(made.consent_id, "pause", act(NOW + 1, Actor.ADMINISTRATOR, "root", "审计"))
    consents.move(made.consent_id, "resume", act(NOW + 2, Actor.ADMINISTRATOR, "root"))
    consents.move(made.consent_id, "revoke", act(NOW + 3))
    changes = consents.changes(limit=100)
    assert [change.sequence for change in changes] == list(range(1, 8))
    mine = consents.changes(consent_id=made.consent_id, limit=100)
    assert [change.state for change in mine] == [REQUESTED, GRANTED, PAUSED, GRANTED, REVOKED]
    assert mine[2].reason == "审计"
    assert mine == consents.changes(operator_id=OPERATOR, limit=100)
    assert mine == consents.changes(subject=COMPANY, limit=100)
    assert (
        consents.changes(after=mine[1].sequence, consent_id=made.consent_id, limit=2) == mine[2:4]
    )
    assert [each.consent_id for each in changes if each not in mine] == [other.consent_id] * 2
    assert consents.head() == 7


@pytest.mark.parametrize("end", ["refuse", "revoke"])
def test_a_dead_consent_allows_nothing_more(consents: ConsentStore, end: Move) -> None:
    made = consents.requested()
    dead = consents.move(made.consent_id, end, act())
    for move in ("grant", "refuse", "pause", "resume", "revoke", "expire", "exhaust"):
        assert refusal(consents, made.consent_id, move) == "STATE_CONFLICT"
    assert consents.settle(made.consent_id, NOW + 10**9) == dead
    assert consents.get(made.consent_id) == dead


def test_a_move_from_another_version_than_was_seen_is_refused(consents: ConsentStore) -> None:
    made = consents.granted()
    assert refusal(consents, made.consent_id, "revoke", expected_version=1) == "ETAG_MISMATCH"
    assert refusal(consents, "none", "revoke") == "RESOURCE_NOT_FOUND"
    assert consents.get(made.consent_id) == made


def test_an_answer_after_the_time_to_answer_finds_the_request_expired(
    consents: ConsentStore,
) -> None:
    made = consents.requested(answer_until=NOW + 10)
    assert refusal(consents, made.consent_id, "grant", act=act(NOW + 10)) == "STATE_CONFLICT"
    written = consents.get(made.consent_id)
    assert written is not None
    assert (written.state, written.ended_at) == (EXPIRED, NOW + 10)
    assert consents.actors(made.consent_id) == [Actor.OPERATOR, Actor.GATEWAY]


def test_a_clock_set_back_does_not_revive_what_was_written_as_expired(
    consents: ConsentStore,
) -> None:
    made = consents.granted(terms=terms(valid_until=NOW + 10))
    assert consents.settle(made.consent_id, NOW + 10).state == EXPIRED
    assert consents.settle(made.consent_id, NOW).state == EXPIRED
    assert refusal(consents, made.consent_id, "resume") == "STATE_CONFLICT"


def test_what_ended_long_ago_is_written_with_the_instant_it_ended(consents: ConsentStore) -> None:
    made = consents.granted(terms=terms(valid_until=NOW + 10))
    settled = consents.settle(made.consent_id, NOW + DAY)
    assert (settled.ended_at, settled.changed_at) == (NOW + 10, NOW + 10)
    assert consents.changes(limit=10)[-1].at == NOW + 10


def test_settling_leaves_alone_what_stands(consents: ConsentStore) -> None:
    made = consents.granted()
    assert consents.settle(made.consent_id, NOW + 1) == made
    assert consents.head() == 2
    with pytest.raises(Refused) as caught:
        consents.settle("none", NOW)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("move", ["expire", "exhaust"])
def test_nobody_can_end_by_time_what_time_has_not_ended(consents: ConsentStore, move: Move) -> None:
    made = consents.granted(terms=once())
    assert (
        refusal(consents, made.consent_id, move, act=act(actor=Actor.GATEWAY)) == "STATE_CONFLICT"
    )
    assert consents.get(made.consent_id) == made


def test_what_is_due_is_found_until_its_end_is_written(consents: ConsentStore) -> None:
    over = consents.granted(terms=terms(valid_until=NOW + 10))
    unanswered = consents.requested(answer_until=NOW + 5)
    spent = consents.granted(terms=once())
    consents.granted()
    assert consents.due(NOW, 10) == ()
    assert isinstance(consents.use(spent), Charged)
    assert consents.due(NOW, 10) == (spent.consent_id,)
    due = consents.due(NOW + 10, 10)
    assert set(due) == {over.consent_id, unanswered.consent_id, spent.consent_id}
    assert len(consents.due(NOW + 10, 2)) == 2
    states = {each: consents.settle(each, NOW + 10).state for each in due}
    assert states == {
        over.consent_id: EXPIRED,
        unanswered.consent_id: EXPIRED,
        spent.consent_id: EXHAUSTED,
    }
    assert consents.due(NOW + 10**6, 10) == ()


def test_consents_are_listed_newest_first_and_page_by_page(consents: ConsentStore) -> None:
    made = [consents.requested(requested_at=NOW + number) for number in range(5)]
    other = consents.requested(operator_id=OTHER_OPERATOR, subject=OTHER_COMPANY)
    newest_first = made[::-1]
    assert consents.listed(operator_id=OPERATOR, limit=2) == tuple(newest_first[:2])
    assert consents.listed(
        operator_id=OPERATOR, before=newest_first[1].consent_id, limit=9
    ) == tuple(newest_first[2:])
    assert consents.listed(subject=OTHER_COMPANY, limit=9) == (other,)
    assert consents.listed(subject=OTHER_COMPANY, operator_id=OPERATOR, limit=9) == ()


def test_consents_of_an_operator_are_found_by_state(consents: ConsentStore) -> None:
    granted = sorted(consents.granted().consent_id for _ in range(3))
    paused = consents.granted()
    consents.move(paused.consent_id, "pause", act())
    consents.granted(operator_id=OTHER_OPERATOR)
    assert consents.in_state(OPERATOR, [GRANTED], after="", limit=2) == tuple(granted[:2])
    assert consents.in_state(OPERATOR, [GRANTED], after=granted[1], limit=2) == (granted[2],)
    both = consents.in_state(OPERATOR, [GRANTED, PAUSED], after="", limit=9)
    assert set(both) == {*granted, paused.consent_id}


def test_use_is_counted_over_all_days(consents: ConsentStore) -> None:
    made = consents.granted(terms=terms(access_mode=TIMES_PER_DAY, times_per_day=2))
    for number, at in enumerate((NOW, NOW + 1, NOW + DAY)):
        assert isinstance(consents.use(made, at, f"u-{number}"), Charged)
    unused = consents.granted()
    (use,) = consents.uses([made.consent_id, unused.consent_id]).values()
    assert (use.answered, use.last_at) == (3, NOW + DAY)
    assert consents.uses([]) == {}


def test_what_was_asked_of_a_subject_is_counted_by_operator(consents: ConsentStore) -> None:
    for at in (NOW - DAY - 1, NOW - DAY, NOW):
        consents.requested(requested_at=at)
    answered = consents.requested()
    consents.move(answered.consent_id, "refuse", act())
    consents.requested(operator_id=OTHER_OPERATOR)
    consents.requested(subject=OTHER_COMPANY)
    assert consents.asked_of(OPERATOR, COMPANY, NOW - DAY) == (3, 3)
    assert consents.asked_of(OPERATOR, COMPANY, NOW + 1) == (3, 0)
    assert consents.asked_of("gamma", COMPANY, 0) == (0, 0)
    # Of what was asked by code, what was refused.
    moves: tuple[Move, ...] = ("grant", "refuse")
    for move in moves:
        by_code = consents.requested(request_id=f"code:{move}", way="code")
        consents.move(by_code.consent_id, move, act())
    consents.requested(request_id="code:unanswered", way="code")
    assert consents.asked_of(OPERATOR, COMPANY, NOW - DAY) == (3, 4)


def test_a_subjects_signature_is_kept_beside_the_receipt_it_signs(consents: ConsentStore) -> None:
    made = consents.requested()
    consents.move(made.consent_id, "grant", act(), also={"receipt": "a.b.c"})
    signed = consents.sign(made.consent_id, "x..y", first_of("a.b.c"), act(NOW + 5))
    assert (signed.subject_signature, signed.subject_key) == ("x..y", "{}")
    assert (signed.version, signed.changed_at, signed.state) == (3, NOW + 5, GRANTED)
    assert consents.get(made.consent_id) == signed
    change = consents.changes(consent_id=made.consent_id, limit=9)[-1]
    told = (change.state, change.actor, change.actor_id, change.reason, change.at)
    assert told == (GRANTED, Actor.SUBJECT, SIGNER, COUNTERSIGNED, NOW + 5)


def test_the_first_signature_stands_whatever_becomes_of_consent_and_key(
    consents: ConsentStore,
) -> None:
    made = consents.requested()
    consents.move(made.consent_id, "grant", act(), also={"receipt": "a.b.c"})
    consents.sign(made.consent_id, "x..y", first_of("a.b.c"), act())
    ended = consents.move(made.consent_id, "revoke", act(NOW + 1))
    again = consents.sign(made.consent_id, "x..y", first_of("a.b.c"), act(NOW + 2))
    assert again == ended
    with pytest.raises(Refused) as caught:
        consents.sign(made.consent_id, "v..w", first_of("a.b.c"), act(NOW + 2))
    assert reason_of(caught.value) == "STATE_CONFLICT"
    assert consents.get(made.consent_id) == ended
    assert len(consents.changes(consent_id=made.consent_id, limit=9)) == 4


def test_a_signature_is_judged_by_the_keys_that_stand_when_it_is_kept(
    consents: ConsentStore,
) -> None:
    keys = SqlSubjectKeys(consents.engine)
    keys.register(COMPANY, "a" * 43, "{}", SIGNER, NOW)
    keys.register(COMPANY, "b" * 43, "{}", SIGNER, NOW + 1)
    keys.remove(COMPANY, "a" * 43, NOW + 2)
    made = consents.requested()
    consents.move(made.consent_id, "grant", act(), also={"receipt": "a.b.c"})
    heard: list[Sequence[SubjectKey]] = []

    def refusing(_: str, standing: Sequence[SubjectKey]) -> SubjectKey:
        heard.append(standing)
        raise Refused(RefusalReason.REFUSAL_REASON_INVALID_REQUEST, "none made it")

    with pytest.raises(Refused):
        consents.sign(made.consent_id, "x..y", refusing, act())
    assert heard == [keys.standing(COMPANY)]
    assert [key.thumbprint for key in heard[0]] == ["b" * 43]


def test_where_there_is_no_receipt_nothing_is_signed(consents: ConsentStore) -> None:
    for made in (consents.requested(), consents.granted()):
        with pytest.raises(Refused) as caught:
            consents.sign(made.consent_id, "x..y", first_of(""), act())
        assert reason_of(caught.value) == "STATE_CONFLICT"
        assert consents.get(made.consent_id) == made


def first_of(receipt: str) -> Callable[[str, Sequence[SubjectKey]], SubjectKey]:
    """Return what takes any key to have signed a receipt."""

    def made_by(signed: str, _: Sequence[SubjectKey]) -> SubjectKey:
        assert signed == receipt
        return SubjectKey(
            subject=COMPANY, thumbprint="k" * 43, jwk="{}", registered_by=SIGNER, registered_at=NOW
        )

    return made_by


def test_of_a_long_history_its_beginning_and_its_end_are_told_and_what_is_left_out_counted(
    consents: ConsentStore,
) -> None:
    made = consents.granted()
    for at in range(1, 4):
        consents.move(made.consent_id, "pause", act(NOW + at, Actor.ADMINISTRATOR))
        consents.move(made.consent_id, "resume", act(NOW + at, Actor.ADMINISTRATOR))
    other = consents.granted()
    consents.move(made.consent_id, "revoke", act(NOW + 9))
    everything = consents.changes(consent_id=made.consent_id, limit=100)
    assert len(everything) == 9

    def told(limit: int) -> History:
        found = consents.histories([made.consent_id, other.consent_id], limit=limit)
        assert len(found[other.consent_id].told) == 2
        return found[made.consent_id]

    assert told(4) == History(everything[:2], everything[-2:], 5)
    assert [each.state for each in told(4).told] == [REQUESTED, GRANTED, GRANTED, REVOKED]
    for limit in (10, 12, 100):
        assert (told(limit).told, told(limit).left_out) == (everything, 0)
    assert told(8).left_out == 1
