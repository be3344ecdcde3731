"""Hedges come late and seldom."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.federation.asking.hedging import (
    LEAST_SAMPLES,
    LEAST_SECONDS,
    MOST_SAVED,
    SHARE,
    Hedging,
)

times = st.floats(0.0, 60.0)


@given(st.lists(times, min_size=LEAST_SAMPLES, max_size=200))
def test_a_hedge_comes_after_nineteen_answers_of_twenty_had_begun(took: list[float]) -> None:
    hedging = Hedging()
    for each in took:
        hedging.began(each)
    delay = hedging.delay()
    assert delay is not None
    assert delay >= LEAST_SECONDS
    assert sum(each <= delay for each in took) >= 0.95 * len(took)


def test_nothing_is_hedged_while_little_is_known() -> None:
    hedging = Hedging()
    for _ in range(LEAST_SAMPLES - 1):
        hedging.began(0.1)
    assert hedging.delay() is None


@given(st.lists(st.booleans(), max_size=500))
def test_hedges_are_a_small_share_of_questions(wanted: list[bool]) -> None:
    hedging, hedged = Hedging(), 0
    for each in wanted:
        hedging.asked()
        hedged += each and hedging.take()
    assert hedged <= SHARE * len(wanted) + 1
    quiet = Hedging()
    for _ in range(1_000):
        quiet.asked()
    assert sum(quiet.take() for _ in range(100)) <= MOST_SAVED
