"""GetSubjectRecords metered, each answer with its receipt, against the same call unmetered."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from benchmarks.parts.stage import USUAL, Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Side, Turn, figure, ratio

_UNMETERED: Final = "benchmarks.servers.unmetered_gateway"


def measure(stage: Stage) -> list[Measure]:
    """Return what metering and receipts add to a call."""

    @contextmanager
    def metered() -> Generator[Side]:
        with stage.apart("metered").gateway(USUAL) as gateway, gateway.loaded(CLIENT) as side:
            yield side

    @contextmanager
    def unmetered() -> Generator[Side]:
        with (
            stage.apart("unmetered").gateway(USUAL, _UNMETERED) as gateway,
            gateway.loaded(CLIENT) as side,
        ):
            yield side

    ours, without = stage.started_anew(metered, unmetered)
    return [
        Measure(
            "metering.server_cpu_over_unmetered",
            ratio(ours, without, Turn.cpu_per_call),
            at_most=1.10,
        ),
        Measure(
            "metering.serving_cpu_over_unmetered",
            ratio(ours, without, Turn.serving_cpu_per_call),
        ),
        Measure("metering.throughput_of_unmetered", ratio(ours, without, Turn.calls_per_second)),
        Measure("metering.server_cpu_per_call", figure(ours, Turn.cpu_per_call), "µs"),
        Measure("metering.server_cpu_unmetered", figure(without, Turn.cpu_per_call), "µs"),
        Measure("metering.p50", figure(ours, Turn.p50), "µs"),
        Measure("metering.p50_unmetered", figure(without, Turn.p50), "µs"),
    ]
