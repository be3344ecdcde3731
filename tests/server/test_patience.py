"""When processes that end are started again, and when a role is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.patience import Patience, WorkerFailed

_PASSED = st.floats(0, 30)


def test_a_process_that_lived_is_started_again_at_once_and_one_that_did_not_ever_later() -> None:
    patience = Patience("keeper", 0.0)
    patience.came_up("k", 0.0)
    assert patience.ended("k", 50.0) == 0
    waits = [patience.ended("k", 51.0 + number) for number in range(9)]
    assert waits == [0, 0.5, 1, 2, 4, 8, 15, 15, 15]
    patience.came_up("k", 60.0)
    assert patience.ended("k", 70.0) == 0


def test_a_peer_that_stands_keeps_a_role_and_no_peer_that_only_comes_up() -> None:
    patience = Patience("worker", 0.0)
    patience.came_up("stands", 0.0)
    for second in range(1, 100_000, 60):
        patience.came_up("falls", second)
        assert patience.ended("falls", second + 9) <= 15
    patience.ended("stands", 100_000.0)
    patience.came_up("falls", 100_111.0)
    with pytest.raises(WorkerFailed, match="No worker has stayed up for 10 s in the last 120 s"):
        patience.ended("falls", 100_120.0)


@given(st.lists(st.tuples(_PASSED, _PASSED), max_size=40))
def test_a_role_is_given_up_when_and_only_when_nobody_stood_for_the_stated_time(
    lives: list[tuple[float, float]],
) -> None:
    patience = Patience("keeper", 0.0)
    now = stood_at = 0.0
    for start, life in lives:
        patience.came_up("k", began := now + start)
        now = began + life
        if now - began >= 10:
            stood_at = now
        if now - stood_at >= 120:
            with pytest.raises(WorkerFailed):
                patience.ended("k", now)
            return
        assert 0 <= patience.ended("k", now) <= 15
