"""The duty to agree with use: time counts from the oldest use not agreed with, and refusing ends
by agreeing alone."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigRefused
from gateway.usage.duty import Duty, Looked, duty_after
from gateway.usage.policy import AgreementPolicy
from gateway.usage.policy_file import read_agreement_policy

DAY = 86_400
POLICY = AgreementPolicy(remind=timedelta(days=7), refuse=timedelta(days=14))
ALPHA = "alpha"
T = 1_000 * DAY


def after(
    before: Duty | None,
    logged: int,
    agreed: int,
    now: int,
    made: int = 0,
    policy: AgreementPolicy = POLICY,
) -> Duty | None:
    """Return alpha's duty after a look."""
    return duty_after(before, Looked(logged, agreed, made, now), ALPHA, policy)


def test_who_has_agreed_with_all_that_is_logged_owes_nothing() -> None:
    assert after(None, 0, 0, T) is None
    assert after(Duty(3, T, reminded=True, due=9), 9, 9, T + 90 * DAY) is None


def test_use_that_was_there_before_the_duty_counts_from_the_first_look() -> None:
    first = after(None, 5, 0, T, made=T - 400 * DAY)
    assert first == Duty(0, T, reminded=False, due=0)


def test_operator_is_reminded_then_refused_to_the_second() -> None:
    duty = after(None, 5, 0, T)
    refused_from = T + 21 * DAY
    for seconds, reminded, due, spared in (
        (7 * DAY - 1, False, 0, 0),
        (7 * DAY, True, 0, refused_from),
        (21 * DAY - 1, True, 0, refused_from),
        (21 * DAY, True, 6, refused_from),
    ):
        duty = after(duty, 6, 0, T + seconds)
        assert duty == Duty(0, T, reminded, due, spared)


@given(away=st.integers(0, 400 * DAY), agreed=st.sampled_from([0, 3]))
def test_nobody_is_refused_before_it_was_reminded_for_the_whole_time(
    away: int, agreed: int
) -> None:
    duty = after(None, 5, 0, T)
    back = T + 7 * DAY - 1 + away
    duty = after(duty, 6, agreed, back, made=T)
    assert duty is not None and duty.reminded == (away > 0) and not duty.due
    reminded = max(back, T + 7 * DAY)
    duty = after(duty, 6, agreed, reminded)
    last = after(duty, 6, agreed, reminded + 14 * DAY - 1)
    assert last is not None and not last.due
    last = after(last, 6, agreed, reminded + 14 * DAY)
    assert last is not None and last.due == 6


def test_agreeing_with_a_part_gives_no_time_anew_once_it_was_reminded() -> None:
    duty = after(None, 9, 0, T)
    duty = after(duty, 9, 0, T + 7 * DAY)
    for agreed in range(1, 8):
        duty = after(duty, 9, agreed, T + (7 + agreed * 2) * DAY - 1, made=T)
    assert duty is not None and duty.spared_until == T + 21 * DAY and not duty.due
    duty = after(duty, 9, 8, T + 21 * DAY, made=T)
    assert duty is not None and duty.due == 9


def test_a_log_that_is_made_anew_ends_no_duty() -> None:
    before = Duty(5, T, reminded=True, due=0, spared_until=T + 21 * DAY)
    assert after(before, 3, 5, T + 9 * DAY) == before


def test_agreeing_with_a_part_moves_the_time_to_the_next_use_and_no_further() -> None:
    duty = after(None, 5, 0, T)
    duty = after(duty, 9, 3, T + 20 * DAY, made=T + 2 * DAY)
    # Nobody had looked at it in time, so nobody had reminded it.
    spared = T + 34 * DAY
    assert duty == Duty(3, T + 2 * DAY, reminded=True, due=0, spared_until=spared)
    duty = after(Duty(3, T + 2 * DAY, reminded=True, due=0), 9, 3, T + 23 * DAY)
    assert duty == Duty(3, T + 2 * DAY, reminded=True, due=9)


def test_who_is_refused_must_agree_with_all_that_was_logged_then() -> None:
    duty = Duty(0, T, reminded=True, due=6)
    duty = after(duty, 6, 5, T + 22 * DAY, made=T + 22 * DAY)
    assert duty is not None and duty.due == 6
    duty = after(duty, 8, 6, T + 22 * DAY, made=T + 22 * DAY)
    assert duty == Duty(6, T + 22 * DAY, reminded=False, due=0)


def test_a_clock_set_back_lets_nobody_go_on() -> None:
    duty = after(Duty(0, T, reminded=True, due=6), 6, 0, T - 400 * DAY)
    assert duty == Duty(0, T, reminded=True, due=6)


def test_who_is_excused_is_refused_nothing_until_its_day() -> None:
    until = date(2030, 1, 1)
    ends = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp())
    policy = POLICY.model_copy(update={"excused": {ALPHA: until}})
    refused = Duty(0, ends - 90 * DAY, reminded=True, due=6)
    excused = after(refused, 6, 0, ends - 1, policy=policy)
    assert excused is not None and excused.due == 0
    again = after(excused, 6, 0, ends, policy=policy)
    assert again is not None and again.due == 6
    assert policy.refused_from(ALPHA, refused.since) == ends


def test_nobody_is_refused_where_the_policy_says_never() -> None:
    policy = POLICY.model_copy(update={"refuse": None})
    duty = after(Duty(0, T, reminded=True, due=0), 6, 0, T + 400 * DAY, policy=policy)
    assert duty == Duty(0, T, reminded=True, due=0)
    assert policy.refused_from(ALPHA, T) is None


_LOOKS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 4 * DAY)), max_size=40
)


@given(looks=_LOOKS)
def test_no_use_is_older_than_the_bound_while_its_operator_is_served(
    looks: list[tuple[int, int, int]],
) -> None:
    made: list[int] = []
    agreed, now = 0, T
    duty: Duty | None = None
    for used, agreeing, passed in looks:
        if not (duty and duty.due):
            made += [now] * used
        agreed = min(len(made), agreed + agreeing)
        oldest = made[agreed] if agreed < len(made) else now
        duty = after(duty, len(made), agreed, now, oldest)
        now += passed
        duty = after(duty, len(made), agreed, now, oldest)
        if agreed < len(made) and not (duty and duty.due):
            # A look is late by as long as nobody looked.
            assert now - made[agreed] < 21 * DAY + 4 * DAY
        if duty and duty.due:
            assert agreed < duty.due <= len(made)


@given(
    agreeing=st.lists(st.integers(0, 20), max_size=10).map(sorted),
)
def test_refusing_ends_once_and_for_the_first_agreement_that_reaches_it(
    agreeing: list[int],
) -> None:
    duty: Duty | None = Duty(0, T, reminded=True, due=15)
    refused = [True]
    for agreed in agreeing:
        duty = after(duty, 20, agreed, T + 30 * DAY, made=T + 30 * DAY)
        refused.append(bool(duty and duty.due))
    assert refused[1:] == [agreed < 15 for agreed in agreeing]
    assert all(was or not is_ for was, is_ in pairwise(refused))


def test_policy_that_is_shipped_is_read_and_a_wrong_one_told(tmp_path: Path) -> None:
    assert read_agreement_policy() == POLICY
    wrong = tmp_path / "policy.yaml"
    wrong.write_text("remind: P0D\nrefuse: soon\nexcused: {alpha: x}\nmore: 1\n")
    with pytest.raises(ConfigRefused) as refused:
        read_agreement_policy(wrong)
    for name in ("remind", "refuse", "excused.alpha", "more"):
        assert f"  {name}" in str(refused.value)
