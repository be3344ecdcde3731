"""Calls of one region and across regions, simulated one by one, and calculated beside.

A process that serves is a queue with one server, the interpreter, and a ledger that writes what
gathered while it wrote what came before. Calls come at random (Poisson), and keep to the process
their connection came to. A call's CPU is drawn from an exponential distribution, which is worse
than what is measured: a call's CPU varies less.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

_SEED: Final = 20_261_128
_WARM_SHARE: Final = 0.1


class Process(NamedTuple):
    """One process that serves: calls a second, a call's CPU and a commit in seconds."""

    calls_per_second: float
    cpu: float
    commit: float

    @property
    def busy(self) -> float:
        """Which share of the time it works."""
        return self.calls_per_second * self.cpu


class Latency(NamedTuple):
    """Latencies in seconds."""

    mean: float
    median: float
    p99: float

    @classmethod
    def of(cls, seen: Sequence[float]) -> "Latency":
        """Return what these latencies come to."""
        ordered = sorted(seen)
        return cls(
            sum(ordered) / len(ordered),
            ordered[len(ordered) // 2],
            ordered[len(ordered) * 99 // 100],
        )


def simulated(process: Process, calls: int, seed: int = _SEED) -> list[float]:
    """Return the latencies of so many calls, those of the beginning left out.

    Raises ValueError where more comes than the process can answer.
    """
    if process.busy >= 1:
        raise ValueError("more calls come than are answered")
    random = Random(seed)
    arrived = free = 0.0
    came: list[tuple[float, float]] = []
    for _ in range(calls):
        arrived += random.expovariate(process.calls_per_second)
        free = max(free, arrived) + random.expovariate(1 / process.cpu)
        came.append((arrived, free))
    latencies: list[float] = []
    committed, at = 0.0, 0
    while at < len(came):
        begun = max(committed, came[at][1])
        committed = begun + process.commit
        # Its ledger takes all that is ready when it begins; the rest waits for the next.
        while at < len(came) and came[at][1] <= begun:
            latencies.append(committed - came[at][0])
            at += 1
    return latencies[int(len(latencies) * _WARM_SHARE) :]


def calculated_mean(process: Process) -> float:
    """Return the mean latency by calculation: the queue of M/M/1, a commit of one's own, and what
    is left of the commit under way when a call is ready, where there is one.

    A commit is under way for all but the time the ledger waits for a first claim, which comes
    after one mean space between calls.
    """
    queue = process.cpu / (1 - process.busy)
    under_way = process.commit / (process.commit + 1 / process.calls_per_second)
    return queue + process.commit + under_way * process.commit / 2


def across(
    own: Process, homes: Sequence[Process], way: float, calls: int, seed: int = _SEED
) -> tuple[list[float], list[float]]:
    """Return the latencies of questions to all ``homes``, ``way`` seconds there and as much back,
    passed on by one's own process; and beside each that of its slowest home alone."""
    answers = [simulated(home, calls, seed + 1 + place) for place, home in enumerate(homes)]
    mine = simulated(own, calls, seed)
    random = Random(seed)
    # A queue's calls come one behind the other; one question meets each home at another time.
    for each in (mine, *answers):
        random.shuffle(each)
    slowest = [max(each) + 2 * way for each in zip(*answers, strict=False)]
    whole = [before + there for before, there in zip(mine, slowest, strict=False)]
    return whole, slowest
