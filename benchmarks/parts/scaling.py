"""GetSubjectRecords of one process that serves, and of two: what a second core brings.

One process and its keeper have one core, two processes and theirs have two. So both are bound by
the server, and by nothing that one of them has and the other has not. The load generator has what
the server leaves: beside one core of the server the other is its own, beside two it takes from
them; so it is one that takes little, and what it took is told.
"""

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from benchmarks.parts.stage import USUAL, Stage
from benchmarks.results import Measure
from benchmarks.rounds import Side, Turn, figure, ratio, take_turns

CLIENT: Final = "benchmarks.clients.light"
SERVER: Final = "benchmarks.servers.several"
# A connection stays with the process it came to: with many both have about as many.
_LOAD: Final = {"connections": 16, "in_flight": 256}


def measure(stage: Stage) -> list[Measure]:
    """Return what two processes on two cores answer over one on one, and over one on two."""
    with ExitStack() as stack:
        sides = [_side(stage, stack, *each) for each in ((1, 1), (2, 2), (1, 2))]
        one, two, alone = take_turns(sides, stage.pace)
    return [
        Measure(
            "scaling.two_processes_over_one", ratio(two, one, Turn.calls_per_second), at_least=1.8
        ),
        Measure(
            "scaling.two_processes_over_one_with_both_cores",
            ratio(two, alone, Turn.calls_per_second),
        ),
        Measure(
            "scaling.one_process_calls_per_second", figure(one, Turn.calls_per_second), "calls/s"
        ),
        Measure(
            "scaling.two_processes_calls_per_second", figure(two, Turn.calls_per_second), "calls/s"
        ),
        Measure("scaling.one_process_server_cpu_per_call", figure(one, Turn.cpu_per_call), "µs"),
        Measure("scaling.two_processes_server_cpu_per_call", figure(two, Turn.cpu_per_call), "µs"),
        Measure("scaling.client_cpu_per_call", figure(two, _client_cpu), "µs"),
        Measure("scaling.cores_of_two_processes_used", figure(two, _cores), "cores"),
    ]


def _side(stage: Stage, stack: ExitStack, workers: int, cores: int) -> Side:
    """Return a gateway with so many processes that serve on so many cores, an installation of
    its own, and its load."""
    place = replace(stage, folder=stage.folder / "scaling" / f"{workers}-on-{cores}")
    gateway = stack.enter_context(place.gateway(USUAL, SERVER, str(workers), str(cores)))
    return stack.enter_context(gateway.loaded(CLIENT, gateway.job.model_copy(update=_LOAD)))


def _client_cpu(turn: Turn) -> float:
    """Return the load generator's CPU of one call in microseconds."""
    return 1e6 * turn.outcome.client_cpu / turn.outcome.calls


def _cores(turn: Turn) -> float:
    """Return how many cores server and load generator used."""
    return (turn.cpu + turn.outcome.client_cpu) / turn.outcome.seconds
