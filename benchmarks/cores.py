"""What a second core adds to plain work on this machine: no server can gain more by it.

Cores that are halves of one, or slow down beside one another, give less than twice.
``python -m benchmarks.cores CORE SECONDS`` prints how much one core did.
"""

import hashlib
import json
import os
import subprocess
import sys
from time import perf_counter
from typing import Final

from benchmarks.processes import ROOT
from benchmarks.rounds import Pace, Spread

_PIECE: Final = {f"field-{number}": number for number in range(100)}


def second_core(pace: Pace) -> Spread:
    """Return what two cores do over one of them alone, turn by turn; needs two cores."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    alone: list[int] = []
    both: list[int] = []
    for _ in range(pace.turns):
        alone.append(_done(cores[:1], pace.seconds))
        both.append(_done(cores, pace.seconds))
    return Spread.of([two / one for one, two in zip(alone, both, strict=True)])


def _done(cores: list[int], seconds: float) -> int:
    """Return how much cores do that work at once."""
    command = (sys.executable, "-m", "benchmarks.cores")
    working = [
        subprocess.Popen(
            (*command, str(core), str(seconds)), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for core in cores
    ]
    return sum(int(each.communicate()[0]) for each in working)


def _work(core: int, seconds: float) -> int:
    """Return how many pieces of work a core does."""
    os.sched_setaffinity(0, {core})
    done, end = 0, perf_counter() + seconds
    while perf_counter() < end:
        hashlib.sha256(json.dumps(json.loads(json.dumps(_PIECE))).encode())
        done += 1
    return done


if __name__ == "__main__":
    sys.stdout.write(str(_work(int(sys.argv[1]), float(sys.argv[2]))))
