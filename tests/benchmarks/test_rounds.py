"""Turns of a comparison, and the CPU that counts in them."""

import subprocess
import sys

import pytest

from benchmarks.clients.protocol import Outcome
from benchmarks.processes import Server
from benchmarks.rounds import Turn

# Works on a thread that has ended by the time it tells how much it used, and waits.
_WORKER = """
import threading, time
def work():
    while time.thread_time() < 0.05:
        pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(time.process_time_ns(), flush=True)
input()
"""


def test_a_servers_cpu_is_told_to_less_than_a_tick_and_of_threads_that_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        own = int(process.stdout.readline()) / 1e9
        assert own <= Server(process, "").cpu < own + 0.005
        process.communicate("\n")


def test_slices_of_a_turn_count_together() -> None:
    first = Outcome(
        calls=2, seconds=0.5, records=6, longest_bytes=9, latencies_us=[1, 2], client_cpu=0.1
    )
    second = Outcome(
        calls=1, seconds=0.25, records=3, longest_bytes=7, latencies_us=[900], client_cpu=0.2
    )
    both = Outcome.of_all([first, second])
    turn = Turn(both, cpu=0.3, others=0.0, serving_cpu=0.2, put_off_cpu=0.0)
    assert (turn.calls_per_second(), turn.records_per_second()) == (4, 12)
    assert (turn.p50(), turn.p99(), turn.outcome.longest_bytes) == (2, 900, 9)
    more = turn.with_more(0.06)
    assert (more.cpu_per_call(), more.put_off_cpu) == (pytest.approx(120_000), 0.06)
