"""Rates: never more than a burst and what is earned since, and never less (ITU-T I.371)."""

from fractions import Fraction
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from gateway.meter.rates import (
    MICROS,
    STEP,
    Arrivals,
    Debit,
    RateKey,
    arrival_after,
    interval_of,
    wait_of,
)

KEY = RateKey("alpha", "limit", "")
START = 1_775_000_000 * MICROS
_RATES = st.tuples(st.integers(1, 10_000), st.integers(1, 86_400)).filter(
    lambda rate: rate[0] <= 10_000 * rate[1]
)
_ARRIVALS = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 8)), max_size=40)


def debit(
    cells: int = 1,
    *,
    interval: int = 1_000,
    burst: int = 5,
    key: RateKey = KEY,
    least: int | None = None,
) -> Debit:
    """Return what an answer takes; judged by ``least`` of it, or all."""
    return Debit(key, interval, burst, cells, cells if least is None else least)


class _Bucket:
    """The other form of the algorithm, the continuous leaky bucket (I.371, annex A), exact."""

    def __init__(self, interval: int, burst: int) -> None:
        self._interval, self._burst = interval, burst
        self._level, self._at = Fraction(0), START

    def takes(self, cells: int, now: int) -> bool:
        level = max(Fraction(0), self._level - Fraction(now - self._at, self._interval))
        if level + cells > self._burst:
            return False
        self._level, self._at = level + cells, now
        return True


@given(_ARRIVALS, st.integers(100, 2_000_000), st.integers(1, 12))
def test_it_decides_as_the_leaky_bucket_does(
    asked: list[tuple[int, int]], interval: int, burst: int
) -> None:
    bucket, known = _Bucket(interval, burst), dict[RateKey, int]()
    for now, cells in zip(accumulate((gap for gap, _ in asked), initial=START), (n for _, n in asked), strict=False):  # fmt: skip
        arrivals = Arrivals(known, now)
        asking = [debit(cells, interval=interval, burst=burst)]
        refused = arrivals.refusal(asking)
        assert (refused is None) == bucket.takes(cells, now)
        if refused is None:
            arrivals.take(asking)
            known |= arrivals.moved


@given(_ARRIVALS, st.integers(100, 2_000_000), st.integers(1, 12))
def test_no_time_sees_more_than_a_burst_and_what_is_earned_in_it(
    asked: list[tuple[int, int]], interval: int, burst: int
) -> None:
    taken, known = list[tuple[int, int]](), dict[RateKey, int]()
    now = START
    for gap, cells in asked:
        now += gap
        arrivals = Arrivals(known, now)
        asking = [debit(cells, interval=interval, burst=burst)]
        if arrivals.refusal(asking) is None:
            arrivals.take(asking)
            known |= arrivals.moved
            taken.append((now, cells))
    for first, (start, _) in enumerate(taken):
        for last in range(first, len(taken)):
            cells = sum(count for _, count in taken[first : last + 1])
            assert (cells - burst) * interval <= taken[last][0] - start


@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 60)), min_size=1, max_size=60),
    st.integers(100, 2_000_000),
    st.integers(1, 12),
)
def test_what_is_taken_unjudged_exceeds_a_limit_by_one_answer_at_most(
    asked: list[tuple[int, int]], interval: int, burst: int
) -> None:
    """Where each is let in only while a cell is left, whatever it then comes to."""
    taken, known, owed = list[tuple[int, int]](), dict[RateKey, int](), dict[RateKey, int]()
    now = START
    for gap, cells in asked:
        now += gap
        arrivals = Arrivals(known, now, owed)
        asking = [debit(cells, interval=interval, burst=burst, least=1)]
        if arrivals.refusal(asking) is None:
            arrivals.take(asking)
            known |= arrivals.moved
            owed |= arrivals.owing
            taken.append((now, cells))
    for first, (start, _) in enumerate(taken):
        cells = 0
        for at, count in taken[first:]:
            # Those before the last had to leave a cell of the burst.
            assert (cells - (burst - 1)) * interval <= at - start
            cells += count


@given(st.integers(0, 10**7), st.integers(100, 10**6), st.integers(1, 50), st.integers(1, 50))
def test_who_waits_as_told_conforms_and_not_a_microsecond_earlier(
    ahead: int, interval: int, burst: int, cells: int
) -> None:
    asking = debit(min(cells, burst), interval=interval, burst=burst)
    arrival = START + min(ahead, burst * interval)
    wait = wait_of(asking, arrival_after(asking, arrival, START), START)
    at = START + wait
    assert wait_of(asking, arrival_after(asking, arrival, at), at) == 0
    if wait:
        assert wait_of(asking, arrival_after(asking, arrival, at - 1), at - 1) == 1


@given(_RATES)
def test_the_rate_is_never_exceeded_and_at_most_a_hundredth_is_lost(rate: tuple[int, int]) -> None:
    count, period = rate
    interval = interval_of(count, period)
    assert interval * count >= period * MICROS
    assert Fraction(interval * count, period * MICROS) <= Fraction(101, 100)


def test_more_than_a_burst_is_never_given_and_waiting_does_not_help() -> None:
    refused = Arrivals({}, START).refusal([debit(6)])
    assert refused is not None
    assert refused.wait == 0


def test_of_several_limits_the_one_that_takes_longest_is_told() -> None:
    slow = RateKey("alpha", "slow", "")
    known = {KEY: START + 5_000, slow: START + 50_000}
    asking = [debit(), debit(interval=10_000, key=slow)]
    refused = Arrivals(known, START).refusal(asking)
    assert refused is not None
    assert (refused.key, refused.wait, refused.arrival) == (slow, 10_000, START + 50_000)


def test_answers_of_one_group_know_those_before_them() -> None:
    arrivals = Arrivals({}, START)
    for left in (3, 1):
        assert arrivals.refusal([debit(2)]) is None
        (told,) = arrivals.take([debit(2)])
        assert told.cells == left
    assert told.micros == 4_000
    assert arrivals.refusal([debit(2)]) is not None


def test_of_many_counts_under_one_limit_the_least_is_told() -> None:
    keys = [RateKey("alpha", "limit", name) for name in "abc"]
    arrivals = Arrivals({keys[1]: START + 3_000}, START)
    (left,) = arrivals.take([debit(key=key) for key in keys])
    assert (left.cells, left.micros) == (1, 4_000)


@given(st.integers(0, 10**9))
def test_clock_set_back_never_makes_anybody_wait_longer_than_the_limit_and_the_step(
    back: int,
) -> None:
    full = debit(5)
    arrival = arrival_after(full, 0, START)
    asking = debit()
    wait = wait_of(asking, arrival_after(asking, arrival, START - back), START - back)
    assert wait <= STEP + asking.interval
