"""The same work on the stack a user would build otherwise."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.parts.stage import USUAL, Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.processes import generating, serving
from benchmarks.results import Measure
from benchmarks.rounds import Side, Turn, figure, ratio, take_turns
from benchmarks.servers.conventional.fill import fill

# Where it does best: with more in flight its threads wait for SQLite's write lock in turns.
_IN_FLIGHT: Final = 8


def measure(stage: Stage) -> list[Measure]:
    """Return the gateway's figures beside those of the conventional stack."""
    with (
        TemporaryDirectory() as folder,
        stage.gateway(USUAL) as gateway,
        gateway.loaded(CLIENT) as real,
    ):
        token = fill(Path(folder), USUAL)
        home = gateway.home
        tls = (home.server_certificate, home.server_key, home.ca)
        with serving("benchmarks.servers.conventional", folder, *tls) as server:
            changed = {"address": server.address, "in_flight": _IN_FLIGHT}
            job = gateway.job.model_copy(update=changed)
            with generating("benchmarks.clients.http", job) as load:
                usual = Side(server, load, lambda: token)
                ours, theirs = take_turns((real, usual), stage.pace)
    return [
        Measure(
            "conventional.throughput_of_gateway_over_it",
            ratio(ours, theirs, Turn.calls_per_second),
            at_least=8,
        ),
        Measure(
            "conventional.server_cpu_of_gateway_over_it",
            ratio(ours, theirs, Turn.cpu_per_call),
            at_most=1 / 6,
        ),
        Measure("conventional.calls_per_second", figure(theirs, Turn.calls_per_second), "calls/s"),
        Measure("conventional.server_cpu_per_call", figure(theirs, Turn.cpu_per_call), "µs"),
    ]
