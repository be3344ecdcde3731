"""A rate that was cut holds in the long run, whatever is asked for at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.throttle import Throttle
from tests.conformance.enforcing import DAY, Enforced, difference, enforced_on

PER_MINUTE = 60


@dataclass
class Seconds:
    """Time that passes when it is told to."""

    at: float = 0.0

    def now(self) -> float:
        """Return the seconds passed."""
        return self.at


@pytest.fixture(scope="module", params=["sqlite"])
def world(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An operator whose rate was cut."""
    with enforced_on(request) as enforced:
        enforced.newcomer()
        enforced.attest(difference("r-1"))
        enforced.pass_time(7 * DAY)
        yield enforced


async def started(world: Enforced, seconds: Seconds) -> Throttle:
    """Return a throttle that has learnt who is throttled."""
    throttle = Throttle(world.standings, PER_MINUTE, seconds.now, poll_seconds=0.01)
    await throttle.start()
    return throttle


@given(calls=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 100)), max_size=20))
async def test_no_more_is_asked_for_than_the_rate(
    world: Enforced, calls: list[tuple[float, int]]
) -> None:
    seconds = Seconds()
    throttle = await started(world, seconds)
    asked = 0
    for pause, subjects in calls:
        seconds.at += pause
        try:
            throttle.require(world.firm, subjects)
        except Refused as refused:
            assert refused.reason == RefusalReason.REFUSAL_REASON_RATE_EXCEEDED
            # Who waits as long as it is told to is let through.
            seconds.at += refused.retry_after or 0
            throttle.require(world.firm, subjects)
        asked += subjects
        assert asked <= PER_MINUTE / 60 * seconds.at + 1e-6
    await throttle.stop()


async def test_time_in_which_nothing_was_asked_for_is_saved_for_a_minute(world: Enforced) -> None:
    seconds = Seconds()
    throttle = await started(world, seconds)
    seconds.at += 3_600
    for _ in range(PER_MINUTE):
        throttle.require(world.firm, 1)
    with pytest.raises(Refused):
        throttle.require(world.firm, 1)
    await throttle.stop()


async def test_a_call_of_many_subjects_is_let_through_after_the_time_it_takes(
    world: Enforced,
) -> None:
    seconds = Seconds()
    throttle = await started(world, seconds)
    for pause, is_let in ((599, False), (1, True), (599, False), (1, True)):
        seconds.at += pause
        if is_let:
            throttle.require(world.firm, 600)
        else:
            with pytest.raises(Refused) as refused:
                throttle.require(world.firm, 600)
            assert refused.value.retry_after == 1
    await throttle.stop()


async def test_others_ask_as_often_as_they_like(world: Enforced) -> None:
    throttle = await started(world, Seconds())
    for _ in range(1_000):
        throttle.require("another", 50_000)
    await throttle.stop()
