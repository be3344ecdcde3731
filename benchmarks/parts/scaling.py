"""What a second process that serves brings on a second core: for batches and for single calls.

One process and its keeper have one core, two processes and theirs have two. So both are bound by
the server, and by nothing that one of them has and the other has not. The load generator has what
the server leaves: beside one core of the server the other is its own, beside two it takes from
them, and what it took is told. Batches leave nearly all to the server, so theirs is the ratio of
the server; single calls are told beside them, with a load generator that takes little.
"""

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from benchmarks.parts import batch
from benchmarks.parts.stage import USUAL, Gateway, Stage
from benchmarks.results import Measure
from benchmarks.rounds import Side, Turn, figure, ratio, take_turns

CLIENT: Final = "benchmarks.clients.light"
SERVER: Final = "benchmarks.servers.several"
# A connection stays with the process it came to: with many both have about as many.
_SINGLE: Final = {"connections": 16, "in_flight": 256}
# Short, so that no process is without work for long at a round's end.
_BATCHES: Final = {"connections": 16, "in_flight": 16, "batch": 500}


def measure(stage: Stage) -> list[Measure]:
    """Return what two processes on two cores answer over one on one, and over one on two."""
    with ExitStack() as stack:
        gateways = [_gateway(stage, stack, *each) for each in ((1, 1), (2, 2), (1, 2))]
        singles = [_side(stack, each, CLIENT, _SINGLE) for each in gateways]
        batches = [_side(stack, each, batch.CLIENT, _BATCHES) for each in gateways[:2]]
        one, two, alone = take_turns(singles, stage.pace)
        batches_of_one, batches_of_two = take_turns(batches, stage.pace)
    return [
        Measure(
            "scaling.batches_two_processes_over_one",
            ratio(batches_of_two, batches_of_one, Turn.records_per_second),
            at_least=1.8,
        ),
        Measure(
            "scaling.batches_one_process_records_per_second",
            figure(batches_of_one, Turn.records_per_second),
            "records/s",
        ),
        Measure(
            "scaling.batches_two_processes_records_per_second",
            figure(batches_of_two, Turn.records_per_second),
            "records/s",
        ),
        Measure("scaling.batches_client_share_of_cpu", figure(batches_of_two, _client_share)),
        Measure("scaling.two_processes_over_one", ratio(two, one, Turn.calls_per_second)),
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


def _gateway(stage: Stage, stack: ExitStack, workers: int, cores: int) -> Gateway:
    """Return a gateway with so many processes that serve on so many cores, and an installation
    of its own."""
    place = replace(stage, folder=stage.folder / "scaling" / f"{workers}-on-{cores}")
    return stack.enter_context(place.gateway(USUAL, SERVER, str(workers), str(cores)))


def _side(stack: ExitStack, gateway: Gateway, client: str, load: dict[str, int]) -> Side:
    return stack.enter_context(gateway.loaded(client, gateway.job.model_copy(update=load)))


def _client_share(turn: Turn) -> float:
    """Return the load generator's share of all CPU used."""
    return turn.outcome.client_cpu / (turn.cpu + turn.outcome.client_cpu)


def _client_cpu(turn: Turn) -> float:
    """Return the load generator's CPU of one call in microseconds."""
    return 1e6 * turn.outcome.client_cpu / turn.outcome.calls


def _cores(turn: Turn) -> float:
    """Return how many cores server and load generator used."""
    return (turn.cpu + turn.outcome.client_cpu) / turn.outcome.seconds
