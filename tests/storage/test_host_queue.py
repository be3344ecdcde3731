"""Processes of a host take turns, and none keeps one that it does not live to end."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.storage.host_queue import HostQueue

_IN_ITS_TURN = """
import sys, time
from pathlib import Path
from gateway.storage.host_queue import HostQueue

queue = HostQueue(Path(sys.argv[1]))
queue.wait()
print("mine", flush=True)
time.sleep(60)
"""


def test_a_turn_is_of_one_at_a_time(tmp_path: Path) -> None:
    one, other = (HostQueue(tmp_path / "turns") for _ in range(2))
    one.wait()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.wait)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        one.leave()
        waiting.result(10)
        again = pool.submit(one.wait)
        with pytest.raises(TimeoutError):
            again.result(0.2)
        other.close()
        again.result(10)
    one.close()


def test_a_turn_ends_with_the_process_that_is_killed_in_it(tmp_path: Path) -> None:
    file = tmp_path / "turns"
    with subprocess.Popen(
        (sys.executable, "-c", _IN_ITS_TURN, file), stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "mine\n"
        queue = HostQueue(file)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(queue.wait)
            try:
                with pytest.raises(TimeoutError):
                    waiting.result(0.2)
            finally:
                killed.send_signal(signal.SIGKILL)
            waiting.result(10)
        queue.close()
