"""What a second process that serves brings on a second core: for single calls and for batches.

One process and its keeper have one core, two processes and theirs have two, and each process gets
the same load. So both are bound by the server, and by nothing that one of them has and the other
has not. The load generator has what the server leaves: beside one core of the server the other is
its own, beside two it takes from them. And a keeper puts off what it finds no core for until nobody
calls: that of one process much, that of two little. So what the server itself gains is told by what
is answered in a second of the cores that it had: those of its turn without what the load generator
took of them, and what it used after its turn. Time in which it left a core idle counts against it.
Beside it stands what was seen, and calls for each second of the server's own CPU.

Told too is what the machine itself has to give: what plain work gains by a second core, and how
many cores others used. Where they used some, one process on one core leaves them the other, two
leave them none, and less than the server's own ratio is seen, for plain work as well.
"""

from contextlib import ExitStack
from dataclasses import replace
from typing import Final, NamedTuple

from benchmarks.clients.light import BATCH
from benchmarks.cores import second_core
from benchmarks.parts.stage import USUAL, Gateway, Stage
from benchmarks.results import Measure
from benchmarks.rounds import Side, Spread, Turn, figure, ratio, take_turns


class _Size(NamedTuple):
    """A gateway with so many processes that serve, on so many cores."""

    processes: int
    cores: int


class _Load(NamedTuple):
    """What each process gets: see `Job`."""

    connections: int
    in_flight: int
    batch: int = 0


_CLIENT: Final = "benchmarks.clients.light"
_SERVER: Final = "benchmarks.servers.several"
# For each process. A connection stays with the process it came to: with many both have about as
# many. Calls are so many that a process waits for a core, not for the disk.
_SINGLES: Final = _Load(connections=32, in_flight=256)
# Short, so that no process is without work for long at a round's end.
_BATCHES: Final = _Load(connections=8, in_flight=8, batch=500)


def measure(stage: Stage) -> list[Measure]:
    """Return what two processes on two cores answer over one on one, and over one on two."""
    with ExitStack() as stack:
        sizes = (_Size(1, 1), _Size(2, 2), _Size(1, 2))
        gateways = [(size, _gateway(stage, stack, size)) for size in sizes]
        singles = [_side(stack, _SINGLES, *each) for each in gateways]
        batches = [_side(stack, _BATCHES, *each, BATCH) for each in gateways[:2]]
        # Whole turns: with so many calls in flight a slice would be little but its begin and end.
        pace = replace(stage.pace, slices=1)
        one, two, alone = take_turns(singles, pace)
        batches_of_one, batches_of_two = take_turns(batches, pace)
        plain = second_core(stage.pace)
    had = Spread.of(
        [2 * _of_two(both) / _of_one(single) for both, single in zip(two, one, strict=True)]
    )
    return [
        Measure("scaling.two_processes_over_one_with_the_cores_they_had", had, at_least=1.8),
        Measure("scaling.two_processes_over_one", ratio(two, one, Turn.calls_per_second)),
        Measure(
            "scaling.two_processes_over_one_by_server_cpu",
            _doubled(ratio(one, two, Turn.cpu_per_call)),
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
        Measure("scaling.one_process_cpu_put_off", figure(one, _put_off), "µs"),
        Measure("scaling.two_processes_cpu_put_off", figure(two, _put_off), "µs"),
        Measure("scaling.cores_of_one_process_used", figure(one, _cores), "cores"),
        Measure("scaling.cores_of_two_processes_used", figure(two, _cores), "cores"),
        Measure("scaling.plain_work_two_cores_over_one", plain),
        Measure(
            "scaling.two_processes_over_one_as_of_two_whole_cores",
            _whole(had, plain),
            at_least=1.8,
        ),
        Measure("scaling.cores_used_by_others", figure([*one, *two], _others), "cores"),
        Measure(
            "scaling.batches_two_processes_over_one",
            ratio(batches_of_two, batches_of_one, Turn.calls_per_second),
        ),
        Measure(
            "scaling.batches_one_process_companies_per_second",
            figure(batches_of_one, _companies_per_second),
            "companies/s",
        ),
        Measure(
            "scaling.batches_two_processes_companies_per_second",
            figure(batches_of_two, _companies_per_second),
            "companies/s",
        ),
        Measure("scaling.batches_client_share_of_cpu", figure(batches_of_two, _client_share)),
    ]


def _gateway(stage: Stage, stack: ExitStack, size: _Size) -> Gateway:
    """Return a gateway of a size, with an installation of its own."""
    name = f"{size.processes}-on-{size.cores}"
    place = stage.apart("scaling").apart(name)
    return stack.enter_context(place.gateway(USUAL, _SERVER, str(size.processes), str(size.cores)))


def _side(stack: ExitStack, load: _Load, size: _Size, gateway: Gateway, *arguments: str) -> Side:
    """Return a gateway under a load for each of its processes."""
    job = gateway.job.model_copy(
        update={
            "connections": load.connections * size.processes,
            "in_flight": load.in_flight * size.processes,
            "batch": load.batch,
        }
    )
    return stack.enter_context(gateway.loaded(_CLIENT, job, *arguments))


def _of_one(turn: Turn) -> float:
    """Return what is answered in a second of the one core that a server had; the load generator had
    the other."""
    return turn.outcome.calls / (turn.outcome.seconds + turn.put_off_cpu)


def _of_two(turn: Turn) -> float:
    """Return what is answered in a second of a core, of two that a server shared with its load
    generator."""
    outcome = turn.outcome
    return outcome.calls / (2 * outcome.seconds - outcome.client_cpu + turn.put_off_cpu)


def _whole(seen: Spread, plain: Spread) -> Spread:
    """Return what is seen on these cores as of cores of which two do twice the plain work of one."""
    return Spread(*(2 * each / plain.median for each in seen))


def _doubled(spread: Spread) -> Spread:
    return Spread(*(2 * each for each in spread))


def _companies_per_second(turn: Turn) -> float:
    """Return how many companies were answered about a second."""
    return _BATCHES.batch * turn.calls_per_second()


def _client_share(turn: Turn) -> float:
    """Return the load generator's share of all CPU used."""
    return turn.outcome.client_cpu / (turn.cpu + turn.outcome.client_cpu)


def _put_off(turn: Turn) -> float:
    """Return the server's CPU of one call that it used later, in microseconds."""
    return 1e6 * turn.put_off_cpu / turn.outcome.calls


def _client_cpu(turn: Turn) -> float:
    """Return the load generator's CPU of one call in microseconds."""
    return 1e6 * turn.outcome.client_cpu / turn.outcome.calls


def _others(turn: Turn) -> float:
    """Return how many cores others on the machine used."""
    return turn.others


def _cores(turn: Turn) -> float:
    """Return how many cores the server used."""
    return turn.cpu / turn.outcome.seconds
