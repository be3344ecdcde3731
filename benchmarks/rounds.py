"""Rounds: sides of a comparison take turns, so that both meet the same machine.

A machine shared with others changes its speed from one second to the next, by a third and more.
So the sides' turns lie within one another: each side calls for a small part of a turn, then the
other, and the order is reversed each time (ABBA), so that neither is always the later one. What a
server does after it has answered it does before the next side calls: two cores are not enough for
both, and the one that is called would be the slower for the other's work.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from statistics import median
from time import perf_counter, sleep
from typing import NamedTuple

from benchmarks.clients.protocol import Outcome, Round
from benchmarks.processes import LoadGenerator, Server, machine_cpu, settled


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure: ``turns`` for each side of ``seconds``, after a warm-up; turns of several
    sides are taken in so many ``slices``, and ``rest`` is how many seconds nobody calls after each."""

    turns: int
    seconds: float
    warm_up: float
    slices: int
    rest: float


class Turn(NamedTuple):
    """One side's turn: what its load generator saw, the server's CPU seconds, how many cores
    others on the machine used meanwhile, of the CPU seconds those of the process that serves, and
    those that the server used later, while other sides were called."""

    outcome: Outcome
    cpu: float
    others: float
    serving_cpu: float
    put_off_cpu: float

    def with_more(self, cpu: float) -> "Turn":
        """Return it with so many CPU seconds more that the server used later."""
        return self._replace(cpu=self.cpu + cpu, put_off_cpu=self.put_off_cpu + cpu)

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

    Each side has a server of its own: what follows an answer, as the keeper does, comes when nobody
    calls, or the other side, and belongs to the turn all the same. So the CPU of a turn is all that
    the server used from its begin to its end, less what it uses anyway while it is not called. What
    follows the warm-up comes before the turns, and what follows the last of them counts: as part of
    each.
    """
    servers = [side.server for side in sides]
    settled(servers)
    for side in sides:
        side.run(pace.warm_up)
    idle = settled(servers)
    slices, rest = (pace.slices, pace.rest) if len(sides) > 1 else (1, 0.0)
    order = cycle((range(len(sides)), range(len(sides))[::-1]))
    turns = [
        _turn(sides, chain.from_iterable(islice(order, slices)), pace.seconds / slices, rest, idle)
        for _ in range(pace.turns)
    ]
    left = _left(servers, idle)
    return [
        [turn.with_more(cpu / pace.turns) for turn in column]
        for column, cpu in zip(zip(*turns, strict=True), left, strict=True)
    ]


def _left(servers: Sequence[Server], idle: Sequence[float]) -> list[float]:
    """Return the CPU seconds that servers use for what is left of their turns."""
    began, before = perf_counter(), [server.cpu for server in servers]
    settled(servers)
    took = perf_counter() - began
    return [
        max(0.0, server.cpu - cpu - share * took)
        for server, cpu, share in zip(servers, before, idle, strict=True)
    ]


def _turn(
    sides: Sequence[Side],
    order: Iterable[int],
    seconds: float,
    rest: float,
    idle: Sequence[float],
) -> list[Turn]:
    """Return a turn of every side: each calls for ``seconds`` whenever its place is in ``order``,
    and nobody for ``rest`` seconds after it."""
    outcomes: list[list[Outcome]] = [[] for _ in sides]
    began, all_before = perf_counter(), machine_cpu()
    loads = sum(side.load.cpu for side in sides)
    before = [side.server.cpu for side in sides]
    serving_before = [side.server.serving_cpu for side in sides]
    while_called = [0.0 for _ in sides]
    for place in order:
        cpu = sides[place].server.cpu
        outcomes[place].append(sides[place].run(seconds))
        while_called[place] += sides[place].server.cpu - cpu
        sleep(rest)
    used = [side.server.cpu - cpu for side, cpu in zip(sides, before, strict=True)]
    serving = [
        side.server.serving_cpu - cpu for side, cpu in zip(sides, serving_before, strict=True)
    ]
    loads = sum(side.load.cpu for side in sides) - loads
    took = perf_counter() - began
    others = (machine_cpu() - all_before - loads - sum(used)) / took
    seen = [Outcome.of_all(each) for each in outcomes]
    turns: list[Turn] = []
    for place, outcome in enumerate(seen):
        cpu = used[place] - idle[place] * (took - outcome.seconds)
        put_off = max(0.0, cpu - while_called[place])
        turns.append(Turn(outcome, cpu, others, serving[place], put_off))
    return turns


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
