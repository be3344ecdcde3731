"""The ledger's thread works on the core where the event loop runs."""

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.meter.same_core import SameCore

_CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture
def follower() -> Generator[ThreadPoolExecutor]:
    """A thread, and this one as it was afterwards."""
    with ThreadPoolExecutor(1) as thread:
        yield thread
    os.sched_setaffinity(0, _CORES)


def test_a_thread_follows_another_from_core_to_core(follower: ThreadPoolExecutor) -> None:
    same_core = SameCore()
    for core in [*_CORES, *_CORES]:
        os.sched_setaffinity(0, {core})
        same_core.lead()
        follower.submit(same_core.follow).result(10)
        assert follower.submit(os.sched_getaffinity, 0).result(10) == {core}
    assert os.sched_getaffinity(0) == {_CORES[-1]}, "who leads is bound by nobody but itself"
    same_core.close()


def test_a_thread_that_does_not_stay_is_put_on_the_core_and_may_leave_it(
    follower: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[set[int]] = []
    bind = os.sched_setaffinity

    def noted(thread: int, cores: set[int]) -> None:
        put.append(cores)
        bind(thread, cores)

    same_core = SameCore(stays=False)
    monkeypatch.setattr(os, "sched_setaffinity", noted)
    for core in [*_CORES, _CORES[-1]]:
        bind(0, {core})
        same_core.lead()
        bind(0, _CORES)
        follower.submit(same_core.follow).result(10)
        assert put == [{core}, set(_CORES)], "also where it was put there before"
        assert follower.submit(os.sched_getaffinity, 0).result(10) == set(_CORES)
        put.clear()
    same_core.close()


def test_where_nothing_is_told_of_cores_a_thread_stays_as_it_is(
    follower: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    same_core = SameCore()
    same_core.lead()
    follower.submit(same_core.follow).result(10)
    monkeypatch.undo()
    assert follower.submit(os.sched_getaffinity, 0).result(10) == set(_CORES)
    same_core.close()


def test_a_core_that_was_taken_away_stops_nobody(
    follower: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_core = SameCore()
    same_core.lead()

    def taken_away(_thread: int, _cores: set[int]) -> None:
        raise OSError

    monkeypatch.setattr(os, "sched_setaffinity", taken_away)
    follower.submit(same_core.follow).result(10)
    monkeypatch.undo()
    same_core.close()
