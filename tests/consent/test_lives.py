"""The data life of what was served may be over before the consent is: it is owed from then on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.lives import begin
from consent.model import ONCE, Actor, Consent, ConsentTerms
from consent.rules import next_look, removal_deadline, report_by
from consent.states import EXPIRED, GRANTED, PAUSED, REVOKED
from consent.tables import CONSENT_LIFE
from creditgate.refusal import Refused
from tests.clock import NOW
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import DAY, OPERATOR, act, any_terms, terms

LIFE = 30 * DAY
OVER = NOW + 40 * DAY + LIFE
"""When the data life of what was served on the fortieth day is over."""
ENDS = NOW + 90 * DAY


def used(consents: ConsentStore) -> Consent:
    """Return a consent for ninety days with data lives of thirty, used last on day forty."""
    made = consents.granted(terms=terms(valid_until=ENDS, data_life_seconds=LIFE))
    consents.use(made, NOW + 40 * DAY)
    return made


def test_the_end_of_a_life_under_a_live_consent_is_told_and_owed_from_then(
    consents: ConsentStore,
) -> None:
    made = used(consents)
    assert consents.look(made.consent_id, OVER - 1) == made
    looked_at = consents.look(made.consent_id, OVER + 5)
    assert (looked_at.state, looked_at.version) == (GRANTED, made.version + 1)
    assert consents.look(made.consent_id, OVER + 6) == looked_at
    (removal,) = consents.removals([made.consent_id]).values()
    assert (removal.deadline, removal.report_by) == (OVER, OVER + 5 + DAY)
    change = consents.changes(limit=99)[-1]
    assert (change.state, change.actor, change.at) == (GRANTED, Actor.GATEWAY, OVER + 5)
    assert change.removal_deadline == OVER
    assert consents.owed(OPERATOR, OVER + 4 + DAY) == (1, OVER, 0)
    assert consents.owed(OPERATOR, OVER + 5 + DAY) == (1, OVER, 1)


def test_it_can_be_acknowledged_before_anybody_looked_and_not_before_it_is_over(
    consents: ConsentStore,
) -> None:
    made = used(consents)
    with pytest.raises(Refused) as caught:
        consents.acknowledge(made.consent_id, OPERATOR, OVER - 1, "c", OVER - 1)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    assert consents.acknowledge(made.consent_id, OPERATOR, OVER - 1, "c", OVER)
    (removal,) = consents.removals([made.consent_id]).values()
    assert not removal.overdue(OVER + 10 * DAY)
    assert not removal.kept_too_long
    assert not consents.acknowledge(made.consent_id, OPERATOR, OVER, "c", OVER + 1)


def test_what_was_reported_is_not_owed_again_when_the_consent_ends(
    consents: ConsentStore,
) -> None:
    made = used(consents)
    consents.acknowledge(made.consent_id, OPERATOR, OVER, "c", OVER)
    settled = consents.settle(made.consent_id, ENDS)
    assert settled.state == EXPIRED
    assert consents.owed(OPERATOR, ENDS + DAY).outstanding == 0
    assert consents.changes(limit=99)[-1].removal_deadline is None
    with pytest.raises(Refused) as caught:
        consents.move(made.consent_id, "revoke", act(ENDS + 1))
    assert reason_of(caught.value) == "STATE_CONFLICT"


@pytest.mark.parametrize("ending", ["by time", "taken back", "looked at late"])
def test_who_is_told_of_a_life_long_over_has_a_day_to_report(
    consents: ConsentStore, ending: str
) -> None:
    made = used(consents)
    told_at = ENDS + 7
    if ending == "taken back":
        told_at = ENDS - 5
        consents.move(made.consent_id, "revoke", act(told_at))
    elif ending == "by time":
        consents.settle(made.consent_id, told_at)
    else:
        told_at = ENDS - 1
        consents.look(made.consent_id, told_at)
    (removal,) = consents.removals([made.consent_id]).values()
    assert (removal.deadline, removal.report_by) == (OVER, told_at + DAY)
    assert not removal.overdue(told_at + DAY - 1)
    assert consents.acknowledge(made.consent_id, OPERATOR, OVER, "c", told_at + 60)
    (reported,) = consents.removals([made.consent_id]).values()
    assert not reported.overdue(told_at + 9 * DAY)
    assert not reported.kept_too_long


def test_of_a_copy_the_word_of_its_removal_decides_whether_it_was_kept_too_long(
    consents: ConsentStore,
) -> None:
    made = used(consents)
    consents.look(made.consent_id, OVER)
    assert consents.acknowledge(made.consent_id, OPERATOR, OVER + 1, "c", OVER + 2)
    (removal,) = consents.removals([made.consent_id]).values()
    assert removal.kept_too_long
    assert not removal.overdue(OVER + DAY)


def test_the_next_answer_begins_the_duty_anew_when_its_life_is_over(
    consents: ConsentStore,
) -> None:
    made = used(consents)
    consents.acknowledge(made.consent_id, OPERATOR, OVER, "c", OVER)
    at = OVER + DAY
    live = consents.get(made.consent_id)
    assert live is not None
    consents.use(live, at, "use-2")
    assert consents.owed(OPERATOR, ENDS).outstanding == 0
    revoked = consents.move(made.consent_id, "revoke", act(at + 10))
    assert revoked.state == REVOKED
    (removal,) = consents.removals([made.consent_id]).values()
    assert (removal.deadline, removal.acknowledged_at) == (at + 10 + DAY, None)
    with pytest.raises(Refused) as caught:
        consents.acknowledge(made.consent_id, OPERATOR, at - 61, "c", at + 20)
    assert [each.field for each in caught.value.violations] == ["remove_time"]
    assert consents.acknowledge(made.consent_id, OPERATOR, at + 15, "c", at + 20)


def test_what_is_owed_is_reported_though_more_was_served_since(consents: ConsentStore) -> None:
    made = used(consents)
    looked_at = consents.look(made.consent_id, OVER)
    consents.use(looked_at, OVER + 60, "use-2")
    # Gone before the second answer, whose copy may be kept.
    assert consents.acknowledge(made.consent_id, OPERATOR, OVER + 30, "c", OVER + 90)
    assert consents.owed(OPERATOR, OVER + 90).outstanding == 0


def test_a_report_that_is_due_does_not_wait_for_what_was_served_since(
    consents: ConsentStore,
) -> None:
    made = consents.granted(terms=terms(valid_until=ENDS, data_life_seconds=7_200))
    consents.use(made, NOW)
    for round_ in range(20):
        at = NOW + 7_200 * (round_ + 1)
        live = consents.look(made.consent_id, at)
        consents.use(live, at, f"again-{round_}")
    due = NOW + 7_200 + DAY
    assert consents.owed(OPERATOR, due - 1) == (20, NOW + 7_200, 0)
    assert consents.owed(OPERATOR, due).overdue == 1


def test_a_life_ends_under_a_paused_consent_too(consents: ConsentStore) -> None:
    made = used(consents)
    consents.move(made.consent_id, "pause", act(OVER - 1, Actor.ADMINISTRATOR))
    assert consents.look(made.consent_id, OVER).state == PAUSED
    assert consents.owed(OPERATOR, OVER).outstanding == 1


def test_consents_are_looked_at_when_a_life_may_be_over_and_no_more_once_none_can(
    consents: ConsentStore,
) -> None:
    made = used(consents)
    long = consents.granted(terms=terms(data_life_seconds=90 * DAY))
    with consents.engine.begin() as connection:
        begin(connection, [made.consent_id, long.consent_id, made.consent_id], NOW)
    assert sorted(consents.lives_due(NOW, 9)) == sorted([made.consent_id, long.consent_id])
    for each in (made, long):
        consents.look(each.consent_id, NOW + 41 * DAY)
    assert consents.lives_due(OVER - 1, 9) == ()
    assert consents.lives_due(OVER, 9) == (made.consent_id,)
    consents.look(made.consent_id, OVER)
    # Twenty days are left: no other life can be over before the consent is.
    with consents.engine.connect() as connection:
        assert connection.execute(CONSENT_LIFE.select()).all() == []


@given(any_terms(), st.integers(NOW, NOW + 9), st.none() | st.integers(NOW, NOW + 9))
def test_no_life_is_over_before_it_is_looked_at(
    agreed: ConsentTerms, now: int, last_served_at: int | None
) -> None:
    at = next_look(agreed, last_served_at, now)
    if agreed.access_mode == ONCE:
        assert at is None
        return
    # What is kept now, and whatever may be served from now on: by a clock set back, before the last.
    lives = [max(now, agreed.valid_from, last_served_at or 0) + agreed.data_life_seconds]
    if last_served_at is not None:
        lives.append(last_served_at + agreed.data_life_seconds)
    to_come = min((each for each in lives if now < each < agreed.valid_until), default=None)
    assert at == to_come or (at is not None and to_come is not None and at <= to_come)


@given(any_terms(), st.sampled_from([EXPIRED, REVOKED]), st.integers(0, 9), st.integers(0, 9))
def test_nobody_has_less_than_a_day_to_report_nor_is_to_report_before_the_copy_must_be_gone(
    agreed: ConsentTerms, state: int, ended_after: int, told_after: int
) -> None:
    ended_at = NOW + ended_after * DAY
    told_at = ended_at + told_after * DAY
    deadline = removal_deadline(agreed, EXPIRED if state == EXPIRED else REVOKED, NOW, ended_at)
    assert report_by(deadline, told_at) >= told_at + DAY
    assert report_by(deadline, told_at) >= deadline
