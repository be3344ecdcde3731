"""An ended consent leaves a duty to remove copies, with a deadline, until it is acknowledged."""

from typing import Any

import pytest

from consent.model import Actor
from consent.states import EXHAUSTED, EXPIRED, GRANTED, REFUSED, REVOKED
from creditgate.refusal import Refused
from tests.clock import NOW
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import DAY, DELETE, OPERATOR, OTHER_OPERATOR, SIGNER, act, once, terms


def test_where_nothing_was_served_nothing_has_to_be_removed(consents: ConsentStore) -> None:
    made = consents.granted()
    consents.move(made.consent_id, "revoke", act())
    assert consents.removals([made.consent_id]) == {}
    assert consents.owed(OPERATOR, NOW) == (0, None, 0)
    assert consents.changes(limit=9)[-1].removal_deadline is None


def test_a_revocation_tells_when_copies_must_be_gone(consents: ConsentStore) -> None:
    made = consents.granted()
    consents.use(made)
    consents.move(made.consent_id, "revoke", act(NOW + 7))
    (removal,) = consents.removals([made.consent_id]).values()
    assert (removal.deadline, removal.data_life_end) == (NOW + 7 + DAY, DELETE)
    assert (removal.removed_at, removal.acknowledged_at) == (None, None)
    change = consents.changes(limit=9)[-1]
    assert (change.removal_deadline, change.data_life_end) == (removal.deadline, DELETE)


def test_what_one_answer_used_up_is_owed_at_the_end_of_its_data_life(
    consents: ConsentStore,
) -> None:
    made = consents.granted(terms=once(data_life_seconds=60))
    consents.use(made, NOW + 1)
    settled = consents.settle(made.consent_id, NOW + 3)
    assert (settled.state, settled.ended_at) == (EXHAUSTED, NOW + 1)
    assert consents.owed(OPERATOR, NOW + 61) == (1, NOW + 61, 0)
    # It is told of at NOW + 3, and has a day from then to report.
    assert consents.owed(OPERATOR, NOW + 2 + DAY) == (1, NOW + 61, 0)
    assert consents.owed(OPERATOR, NOW + 3 + DAY) == (1, NOW + 61, 1)


def test_a_pause_ends_no_duty_and_begins_none(consents: ConsentStore) -> None:
    made = consents.granted()
    consents.use(made)
    consents.move(made.consent_id, "pause", act(actor=Actor.ADMINISTRATOR))
    assert consents.removals([made.consent_id]) == {}


def ended_with_copies(consents: ConsentStore, **changes: Any) -> str:
    """Return the id of a consent that was used at NOW and revoked at NOW + 10."""
    made = consents.granted(**changes)
    consents.use(made, NOW, made.consent_id[-20:])
    consents.move(made.consent_id, "revoke", act(NOW + 10))
    return made.consent_id


def test_a_removal_is_acknowledged_once_and_the_first_word_stands(consents: ConsentStore) -> None:
    consent_id = ended_with_copies(consents)
    assert consents.acknowledge(consent_id, OPERATOR, NOW + 20, "alpha-client", NOW + 30)
    assert not consents.acknowledge(consent_id, OPERATOR, NOW + 25, "other", NOW + 40)
    (removal,) = consents.removals([consent_id]).values()
    assert (removal.removed_at, removal.acknowledged_at) == (NOW + 20, NOW + 30)
    assert consents.owed(OPERATOR, NOW + 10**6) == (0, None, 0)


def test_only_the_operator_that_owes_a_removal_can_acknowledge_it(consents: ConsentStore) -> None:
    consent_id = ended_with_copies(consents)
    live = consents.granted()
    consents.use(live, NOW, "live")
    for named, operator_id in (
        (consent_id, OTHER_OPERATOR),
        (live.consent_id, OPERATOR),
        ("none", OPERATOR),
    ):
        with pytest.raises(Refused) as caught:
            consents.acknowledge(named, operator_id, NOW + 20, "c", NOW + 30)
        assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    assert consents.owed(OPERATOR, NOW).outstanding == 1


def test_what_use_has_ended_can_be_acknowledged_before_anybody_wrote_that_it_has(
    consents: ConsentStore,
) -> None:
    made = consents.granted(terms=once(data_life_seconds=60))
    consents.use(made, NOW + 1)
    with pytest.raises(Refused) as caught:
        consents.acknowledge(made.consent_id, OTHER_OPERATOR, NOW + 2, "c", NOW + 3)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    assert consents.acknowledge(made.consent_id, OPERATOR, NOW + 2, "c", NOW + 3)
    (removal,) = consents.removals([made.consent_id]).values()
    assert (removal.deadline, removal.removed_at) == (NOW + 61, NOW + 2)
    assert consents.changes(limit=9)[-1].state == EXHAUSTED


@pytest.mark.parametrize("removed_at", [NOW - 61, NOW + 91])
def test_a_removal_is_after_the_last_answer_and_not_to_come(
    consents: ConsentStore, removed_at: int
) -> None:
    consent_id = ended_with_copies(consents)
    with pytest.raises(Refused) as caught:
        consents.acknowledge(consent_id, OPERATOR, removed_at, "c", NOW + 30)
    assert reason_of(caught.value) == "INVALID_REQUEST"
    assert [violation.field for violation in caught.value.violations] == ["remove_time"]
    assert consents.owed(OPERATOR, NOW).outstanding == 1


def test_what_an_operator_owes_is_its_own_and_the_earliest_comes_first(
    consents: ConsentStore,
) -> None:
    soon = ended_with_copies(consents, terms=terms(data_life_seconds=60))
    ended_with_copies(consents)
    ended_with_copies(consents, operator_id=OTHER_OPERATOR)
    assert consents.owed(OPERATOR, NOW + 60) == (2, NOW + 60, 0)
    assert consents.owed(OPERATOR, NOW + 10 + DAY) == (2, NOW + 60, 2)
    consents.acknowledge(soon, OPERATOR, NOW + 70, "c", NOW + 70)
    assert consents.owed(OPERATOR, NOW + 70) == (1, NOW + 10 + DAY, 0)


def test_a_refused_request_is_told_to_have_no_end_of_copies(consents: ConsentStore) -> None:
    made = consents.requested()
    refused = consents.move(made.consent_id, "refuse", act(NOW + 1), also={"signer": SIGNER})
    assert (refused.state, refused.ended_at, refused.signer) == (REFUSED, NOW + 1, SIGNER)
    assert consents.removals([made.consent_id]) == {}


def test_answers_without_records_leave_nothing_to_be_removed(consents: ConsentStore) -> None:
    spent, revoked = consents.granted(terms=once()), consents.granted()
    consents.use(spent, NOW + 1, "u-1", entries=())
    consents.use(revoked, NOW + 1, "u-2", entries=())
    # Ended when it was used up, all the same.
    settled = consents.settle(spent.consent_id, NOW + 3)
    assert (settled.state, settled.ended_at) == (EXHAUSTED, NOW + 1)
    consents.move(revoked.consent_id, "revoke", act(NOW + 3))
    assert consents.removals([spent.consent_id, revoked.consent_id]) == {}
    assert consents.due(NOW + 3, 9) == ()
    with pytest.raises(Refused) as caught:
        consents.move(spent.consent_id, "revoke", act(NOW + 4))
    assert reason_of(caught.value) == "STATE_CONFLICT"


@pytest.mark.parametrize(("life", "deadline"), [(90 * DAY, NOW + 21 * DAY), (DAY, NOW + DAY)])
@pytest.mark.parametrize("ending", ["by use", "by time", "by use, unwritten"])
def test_what_ended_by_itself_can_be_taken_back_and_is_owed_sooner(
    consents: ConsentStore, ending: str, life: int, deadline: int
) -> None:
    agreed = {"data_life_seconds": life, "valid_until": NOW + 9 * DAY}
    made = consents.granted(terms=terms(**agreed) if ending == "by time" else once(**agreed))
    consents.use(made)
    if ending != "by use, unwritten":
        consents.settle(made.consent_id, NOW + 9 * DAY)
        assert consents.owed(OPERATOR, NOW).next_deadline == NOW + life
    at = NOW + 20 * DAY
    revoked = consents.move(made.consent_id, "revoke", act(at))
    assert (revoked.state, revoked.ended_at) == (REVOKED, at)
    (removal,) = consents.removals([made.consent_id]).values()
    assert removal.deadline == deadline
    change = consents.changes(limit=99)[-1]
    assert (change.state, change.removal_deadline) == (REVOKED, deadline)
    assert change.data_life_end == DELETE
    with pytest.raises(Refused):
        consents.move(made.consent_id, "revoke", act(at))


def test_where_all_was_removed_there_is_nothing_to_take_back(
    consents: ConsentStore,
) -> None:
    made = consents.granted(terms=once())
    consents.use(made)
    consents.settle(made.consent_id, NOW + 1)
    consents.acknowledge(made.consent_id, OPERATOR, NOW + 2, "alpha-client", NOW + 2)
    before = consents.removals([made.consent_id])
    with pytest.raises(Refused) as caught:
        consents.move(made.consent_id, "revoke", act(NOW + 3))
    assert reason_of(caught.value) == "STATE_CONFLICT"
    assert consents.removals([made.consent_id]) == before
    assert consents.changes(limit=99)[-1].state == EXHAUSTED
    assert consents.owed(OPERATOR, NOW + 10**6).outstanding == 0


def test_settled_consents_are_as_written_whatever_the_clock_says_next(
    consents: ConsentStore,
) -> None:
    over = consents.granted(terms=terms(valid_until=NOW + 10))
    spent, unanswered = consents.granted(terms=once()), consents.requested(answer_until=NOW + 5)
    live = consents.granted()
    consents.use(spent)
    made = (over, spent, unanswered, live)
    settled = consents.settled(made, NOW + 10)
    assert [each.state for each in settled] == [EXPIRED, EXHAUSTED, EXPIRED, GRANTED]
    assert tuple(consents.get(each.consent_id) for each in made) == settled
    assert consents.settled(settled, NOW) == settled
