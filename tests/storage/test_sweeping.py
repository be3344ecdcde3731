"""A store sweeps with its first call and then every so often, by one caller each time."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.sweeping import Sweeping

EVERY = 60


@given(st.lists(st.integers(0, 3 * EVERY), min_size=1))
def test_no_two_sweeps_come_closer_than_they_should(pauses: list[int]) -> None:
    sweeping, now = Sweeping(EVERY), 1_000
    swept: list[int] = []
    for pause in pauses:
        now += pause
        if sweeping.due(now):
            swept.append(now)
        assert now - swept[-1] < EVERY
    assert all(later - earlier >= EVERY for earlier, later in pairwise(swept))


def test_of_many_callers_at_once_one_sweeps() -> None:
    sweeping = Sweeping(EVERY)
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(sweeping.due, [1_000] * 200))
    assert told.count(True) == 1
