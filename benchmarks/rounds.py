"""Rounds: sides of a comparison take turns, so that both meet the same machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks.clients.protocol import Outcome, Round
from benchmarks.processes import LoadGenerator, Server, machine_cpu


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure: ``turns`` for each side of ``seconds``, after a warm-up."""

    turns: int
    seconds: float
    warm_up: float


class Turn(NamedTuple):
    """One side's round: what its load generator saw, the server's CPU seconds, and how many cores
    others on the machine used meanwhile."""

    outcome: Outcome
    cpu: float
    others: float

    def calls_per_second(self) -> float:
        """Answers a second."""
        return self.outcome.calls / self.outcome.seconds

    def cpu_per_call(self) -> float:
        """Server CPU of one call in microseconds."""
        return 1e6 * self.cpu / self.outcome.calls

    def records_per_second(self) -> float:
        """Records a second."""
        return self.outcome.records / self.outcome.seconds

    def records_per_core_second(self) -> float:
        """Records for each second of one core of server CPU."""
        return self.outcome.records / self.cpu


@dataclass(frozen=True, slots=True)
class Side:
    """A server under load, and where its access token comes from."""

    server: Server
    load: LoadGenerator
    token: Callable[[], str]

    def turn(self, seconds: float) -> Turn:
        """Run one round. Raises Failed when any call failed."""
        wanted = Round(seconds=seconds, token=self.token())
        began, before, others = perf_counter(), self.server.usage.cpu, self._others()
        outcome = self.load.run(wanted)
        cpu, others = self.server.usage.cpu - before, self._others() - others
        return Turn(outcome, cpu, (others - cpu) / (perf_counter() - began))

    def _others(self) -> float:
        """Return the CPU seconds that all but the load generator have used so far."""
        return machine_cpu() - self.load.cpu


def take_turns(sides: Sequence[Side], pace: Pace) -> list[list[Turn]]:
    """Return each side's turns; the nth of every side ran next to each other."""
    for side in sides:
        side.turn(pace.warm_up)
    turns = [[side.turn(pace.seconds) for side in sides] for _ in range(pace.turns)]
    return [list(column) for column in zip(*turns, strict=True)]


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
