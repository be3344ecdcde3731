"""Rounds: sides of a comparison take turns, so that both meet the same machine.

A machine shared with others changes its speed from one second to the next, by a third and more.
So the sides' turns lie within one another: each side calls for a small part of a second, then the
other, and the order is reversed each time (ABBA), so that neither is always the later one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks.clients.protocol import Outcome, Round
from benchmarks.processes import LoadGenerator, Server, machine_cpu, settled


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure: ``turns`` for each side of ``seconds``, after a warm-up; turns of several
    sides are taken in so many ``slices``."""

    turns: int
    seconds: float
    warm_up: float
    slices: int


class Turn(NamedTuple):
    """One side's turn: what its load generator saw, the server's CPU seconds, how many cores
    others on the machine used meanwhile, and of the CPU seconds those of the process that serves."""

    outcome: Outcome
    cpu: float
    others: float
    serving_cpu: float

    def calls_per_second(self) -> float:
        """Answers a second."""
        return self.outcome.calls / self.outcome.seconds

    def cpu_per_call(self) -> float:
        """Server CPU of one call in microseconds."""
        return 1e6 * self.cpu / self.outcome.calls

    def serving_cpu_per_call(self) -> float:
        """CPU of one call in microseconds, of the process that serves, without what comes later."""
        return 1e6 * self.serving_cpu / self.outcome.calls

    def records_per_second(self) -> float:
        """Records a second."""
        return self.outcome.records / self.outcome.seconds

    def records_per_core_second(self) -> float:
        """Records for each second of one core of server CPU."""
        return self.outcome.records / self.cpu

    def p50(self) -> int:
        """What half of the calls took at most, in microseconds."""
        return self._latency(50)

    def p99(self) -> int:
        """What 99 of 100 calls took at most, in microseconds."""
        return self._latency(99)

    def _latency(self, percent: int) -> int:
        ordered = sorted(self.outcome.latencies_us)
        return ordered[len(ordered) * percent // 100]


@dataclass(frozen=True, slots=True)
class Side:
    """A server under load, and where its access token comes from."""

    server: Server
    load: LoadGenerator
    token: Callable[[], str]

    def run(self, seconds: float) -> Outcome:
        """Call for a while. Raises Failed when any call failed."""
        return self.load.run(Round(seconds=seconds, token=self.token()))


def take_turns(sides: Sequence[Side], pace: Pace) -> list[list[Turn]]:
    """Return each side's turns; the nth of every side ran within each other. Raises Failed.

    Each side has a server of its own: what follows an answer, as the keeper does, comes when the
    other side calls, and belongs to the turn all the same. So the CPU of a turn is all that the
    server used from its begin to its end, less what it uses anyway while others are called.
    """
    idle = settled([side.server for side in sides])
    for side in sides:
        side.run(pace.warm_up)
    slices = pace.slices if len(sides) > 1 else 1
    order = cycle((range(len(sides)), range(len(sides))[::-1]))
    turns = [
        _turn(sides, chain.from_iterable(islice(order, slices)), pace.seconds / slices, idle)
        for _ in range(pace.turns)
    ]
    return [list(column) for column in zip(*turns, strict=True)]


def _turn(
    sides: Sequence[Side], order: Iterable[int], seconds: float, idle: Sequence[float]
) -> list[Turn]:
    """Return a turn of every side: each calls for ``seconds`` whenever its place is in ``order``."""
    outcomes: list[list[Outcome]] = [[] for _ in sides]
    began, all_before = perf_counter(), machine_cpu()
    loads = sum(side.load.cpu for side in sides)
    before = [side.server.cpu for side in sides]
    serving_before = [side.server.serving_cpu for side in sides]
    for place in order:
        outcomes[place].append(sides[place].run(seconds))
    used = [side.server.cpu - cpu for side, cpu in zip(sides, before, strict=True)]
    serving = [
        side.server.serving_cpu - cpu for side, cpu in zip(sides, serving_before, strict=True)
    ]
    loads = sum(side.load.cpu for side in sides) - loads
    took = perf_counter() - began
    others = (machine_cpu() - all_before - loads - sum(used)) / took
    seen = [Outcome.of_all(each) for each in outcomes]
    return [
        Turn(outcome, cpu - share * (took - outcome.seconds), others, answering)
        for outcome, cpu, share, answering in zip(seen, used, idle, serving, strict=True)
    ]


class Spread(NamedTuple):
    """A figure over all turns."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return the spread of ``figures``, at least one."""
        return cls(median(figures), min(figures), max(figures))


def ratio(above: Sequence[Turn], below: Sequence[Turn], of: Callable[[Turn], float]) -> Spread:
    """Return the spread of a figure's ratio, turn by turn."""
    return Spread.of([of(one) / of(other) for one, other in zip(above, below, strict=True)])


def figure(turns: Sequence[Turn], of: Callable[[Turn], float]) -> Spread:
    """Return the spread of a figure."""
    return Spread.of([of(turn) for turn in turns])
