"""Each time copies must go is a duty of its own, that nothing served afterwards writes over."""

import pytest

from consent.connections import writing
from consent.model import Actor, Consent
from consent.overdue import SqlOverdue
from consent.owed import owe
from consent.removals import Removal
from consent.states import EXHAUSTED, GRANTED, REVOKED
from creditgate.refusal import Refused
from tests.clock import NOW
from tests.consent.store import ConsentStore, reason_of
from tests.consent.world import DAY, OPERATOR, act, once, terms

LIFE = 3_600
FAR = NOW + 10**7


def living(consents: ConsentStore) -> Consent:
    """Return a consent for thirty days with lives of an hour, used now."""
    made = consents.granted(terms=terms(data_life_seconds=LIFE))
    consents.use(made, NOW, made.consent_id[-20:])
    return made


def serve(consents: ConsentStore, made: Consent, at: int) -> None:
    """Serve under a consent as it stands."""
    live = consents.get(made.consent_id)
    assert live is not None
    consents.use(live, at, f"use-{at}")


def lives(consents: ConsentStore, made: Consent, number: int) -> None:
    """Let so many data lives pass, one after the other; each time more is served at the end."""
    for at in range(NOW + LIFE, NOW + (number + 1) * LIFE, LIFE):
        consents.look(made.consent_id, at)
        serve(consents, made, at)


def listed(consents: ConsentStore, made: Consent) -> tuple[Removal, ...]:
    """Return all duties for a consent."""
    return consents.duties([made.consent_id], limit=99)[made.consent_id].listed


def reported(consents: ConsentStore, made: Consent, removed_at: int, now: int) -> int:
    """Have the operator report; return how many duties that is new of."""
    return consents.acknowledge(made.consent_id, OPERATOR, removed_at, "c", now)


def test_a_removal_that_was_late_stays_known_whatever_is_served_afterwards(
    consents: ConsentStore,
) -> None:
    made = living(consents)
    consents.look(made.consent_id, NOW + LIFE)
    assert reported(consents, made, NOW + LIFE + 500, NOW + LIFE + 600) == 1
    (late,) = listed(consents, made)
    assert late.kept_too_long
    serve(consents, made, NOW + DAY)
    assert reported(consents, made, NOW + DAY + LIFE, NOW + DAY + LIFE + 5) == 1
    assert listed(consents, made)[0] == late
    in_time = listed(consents, made)[1]
    assert (in_time.life_until, in_time.kept_too_long) == (NOW + DAY + LIFE, False)
    assert consents.acknowledged(made.consent_id, after=0, limit=9) == (late, in_time)
    assert consents.acknowledged(made.consent_id, after=late.life_until, limit=9) == (in_time,)


def test_who_is_overdue_gains_no_time_by_another_answer_and_giving_the_consent_up(
    consents: ConsentStore,
) -> None:
    made = living(consents)
    consents.look(made.consent_id, NOW + LIFE)
    later = NOW + LIFE + DAY
    assert consents.owed(OPERATOR, later).overdue == 1
    serve(consents, made, later)
    consents.move(made.consent_id, "revoke", act(later + 1, Actor.OPERATOR))
    assert consents.owed(OPERATOR, later + 1) == (2, NOW + LIFE, 1)
    first, last = listed(consents, made)
    assert (first.deadline, first.report_by) == (NOW + LIFE, later)
    assert (last.deadline, last.report_by) == (later + LIFE, later + 1 + DAY)
    assert consents.removals([made.consent_id]) == {made.consent_id: first}
    ((told, *_),) = [SqlOverdue(consents.engine).of_subject(made.subject, later + 1, 9)]
    assert (told.consent_id, told.deadline) == (made.consent_id, NOW + LIFE)


def test_the_end_of_a_life_is_told_once_until_it_is_reported(consents: ConsentStore) -> None:
    made = living(consents)
    lives(consents, made, 9)
    now = NOW + 9 * LIFE
    notices = consents.changes(consent_id=made.consent_id, limit=99)[2:]
    assert [each.removal_deadline for each in notices] == [NOW + LIFE]
    assert len(listed(consents, made)) == 9
    assert consents.owed(OPERATOR, now) == (9, NOW + LIFE, 0)
    # It says what it knows of the first alone, and is told of what is left.
    assert reported(consents, made, NOW + LIFE - 70, now) == 1
    (told,) = consents.changes(consent_id=made.consent_id, limit=99)[3:]
    assert (told.state, told.removal_deadline, told.at) == (GRANTED, NOW + 2 * LIFE, now)
    assert {each.report_by for each in listed(consents, made)[1:]} == {now + DAY}
    assert reported(consents, made, now, now) == 8
    assert len(consents.changes(consent_id=made.consent_id, limit=99)) == 4
    consents.look(made.consent_id, now + LIFE)
    assert len(consents.changes(consent_id=made.consent_id, limit=99)) == 5


def test_what_is_overdue_when_another_is_reported_stays_so(consents: ConsentStore) -> None:
    made = living(consents)
    lives(consents, made, 3)
    now = NOW + 2 * LIFE + DAY
    assert consents.owed(OPERATOR, now).overdue == 2
    assert reported(consents, made, NOW + LIFE - 70, now) == 1
    assert [each.overdue(now) for each in listed(consents, made)] == [True, True, False, False]


def test_a_word_is_of_all_that_was_served_by_then_and_of_nothing_later(
    consents: ConsentStore,
) -> None:
    made = living(consents)
    lives(consents, made, 3)
    now = NOW + 4 * LIFE
    consents.look(made.consent_id, now)
    assert reported(consents, made, NOW + LIFE - 1, now) == 1
    # The same word again says nothing of what was served since.
    assert reported(consents, made, NOW + LIFE - 1, now + 5) == 0
    with pytest.raises(Refused) as caught:
        reported(consents, made, NOW + LIFE - 65, now + 5)
    assert reason_of(caught.value) == "INVALID_REQUEST"
    # A clock may be a little behind: it means what is to be reported first.
    assert reported(consents, made, NOW + LIFE - 2, now + 6) == 1
    assert reported(consents, made, now, now + 7) == 2
    assert reported(consents, made, now, now + 8) == 0
    assert [each.removed_at for each in listed(consents, made)] == [
        NOW + LIFE - 1,
        NOW + LIFE,
        now,
        now,
    ]
    assert [each.kept_too_long for each in listed(consents, made)] == [False, False, True, False]


def test_a_revocation_shortens_all_that_is_not_reported(consents: ConsentStore) -> None:
    made = consents.granted(terms=once())
    consents.use(made)
    spent = consents.settle(made.consent_id, NOW + 1)
    assert spent.state == EXHAUSTED
    # What another region gave for the same question comes later.
    with writing(consents.engine) as connection:
        life_until = NOW + 5 + spent.terms.data_life_seconds
        owe(connection, spent, life_until, life_until, NOW + 5)
    assert len({each.deadline for each in listed(consents, made)}) == 2
    assert consents.in_state_owing(OPERATOR, after="", limit=9) == (made.consent_id,)
    revoked = consents.move(made.consent_id, "revoke", act(NOW + 60))
    assert revoked.state == REVOKED
    assert {each.deadline for each in listed(consents, made)} == {NOW + 60 + DAY}
    assert {each.report_by for each in listed(consents, made)} == {NOW + 60 + DAY}
    assert consents.changes(limit=99)[-1].removal_deadline == NOW + 60 + DAY


def test_of_many_duties_the_newest_are_told_and_those_left_out_counted(
    consents: ConsentStore,
) -> None:
    made, other = living(consents), consents.granted()
    lives(consents, made, 5)
    reported(consents, made, NOW + LIFE - 70, NOW + 5 * LIFE)
    everything = listed(consents, made)
    for limit in (1, 3, 5):
        found = consents.duties([made.consent_id, other.consent_id], limit=limit)
        assert found.keys() == {made.consent_id}
        its = found[made.consent_id]
        assert its.listed == everything[-limit:]
        assert (its.left_out, its.unreported) == (5 - limit, 4)
        assert its.unreported_left_out == max(0, 4 - limit)
        assert (its.first, its.last) == (everything[1], everything[-1])
    reported(consents, made, FAR - 5 * 10**6, FAR)
    assert consents.removals([made.consent_id])[made.consent_id].life_until == NOW + 6 * LIFE


def test_a_copy_is_of_the_first_duty_that_its_life_does_not_outlast(
    consents: ConsentStore,
) -> None:
    made = living(consents)
    lives(consents, made, 2)
    first, second = listed(consents, made)
    for keep_until, its in (
        (NOW + 5, first),
        (NOW + LIFE, first),
        (NOW + LIFE + 1, second),
        (NOW + 2 * LIFE, second),
        (NOW + 2 * LIFE + 1, None),
    ):
        assert consents.duty(made.consent_id, keep_until) == its


def test_what_was_taken_back_when_nobody_could_be_told_is_spared_until_it_can_be_reported(
    consents: ConsentStore,
) -> None:
    taken_back, over, told = (living(consents) for _ in range(3))
    long = consents.granted(terms=terms(data_life_seconds=9 * DAY))
    consents.use(long, NOW, "long")
    consents.move(long.consent_id, "revoke", act(NOW + 10))
    consents.move(taken_back.consent_id, "revoke", act(NOW + 10))
    consents.look(over.consent_id, NOW + LIFE)
    consents.move(told.consent_id, "revoke", act(NOW + 10))
    reported(consents, told, NOW + 20, NOW + 20)
    overdue = SqlOverdue(consents.engine)
    before = listed(consents, told)
    # Away from the fiftieth second on, for nine days.
    overdue.put_off(NOW + 50, lambda due: due + 9 * DAY)
    (spared,) = listed(consents, long)
    assert (spared.deadline, spared.report_by) == (NOW + 10 + DAY, NOW + 10 + 10 * DAY)
    assert spared.spared_until == spared.report_by
    # How long a copy may be kept the terms said before.
    assert [each.spared_until for each in (*listed(consents, over), *before)] == [0, 0]
    assert listed(consents, taken_back)[0].spared_until == 0
    assert listed(consents, told) == before
    overdue.put_off(NOW + 5 * DAY, lambda due: due + DAY)
    (spared,) = listed(consents, long)
    assert spared.spared_until == spared.report_by == NOW + 10 + 11 * DAY
    reported(consents, long, NOW + 10 * DAY, NOW + 10 * DAY)
    (gone,) = listed(consents, long)
    assert (gone.kept_too_long, gone.overdue(FAR)) == (False, False)
