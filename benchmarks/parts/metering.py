"""GetSubjectRecords metered, each answer with its receipt, against the same call unmetered.

A use is metered where its answer is given, and logged for its receipt by the keeper. What other
guarantees make of it besides (the log of decisions, the index of uses by subject, holdings, alerts) is
told apart: a gateway that did not meter would have to learn of its answers for them in another way.
"""

from typing import Final

from benchmarks.parts.stage import USUAL, Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Turn, figure, ratio

_METERING: Final = "benchmarks.servers.metering_gateway"
_UNMETERED: Final = "benchmarks.servers.unmetered_gateway"


def measure(stage: Stage) -> list[Measure]:
    """Return what metering and receipts add to a call, and all that follows a use."""

    whole, ours, without = stage.started_anew(
        stage.side("metered", USUAL, CLIENT),
        stage.side("metering", USUAL, CLIENT, _METERING),
        stage.side("unmetered", USUAL, CLIENT, _UNMETERED),
    )
    return [
        Measure(
            "metering.cpu_over_unmetered",
            ratio(ours, without, Turn.cpu_per_call),
            at_most=1.10,
        ),
        Measure(
            "metering.server_cpu_over_unmetered",
            ratio(whole, without, Turn.cpu_per_call),
        ),
        Measure(
            "metering.serving_cpu_over_unmetered",
            ratio(whole, without, Turn.serving_cpu_per_call),
        ),
        Measure("metering.throughput_of_unmetered", ratio(whole, without, Turn.calls_per_second)),
        Measure("metering.server_cpu_per_call", figure(whole, Turn.cpu_per_call), "µs"),
        Measure("metering.server_cpu_unmetered", figure(without, Turn.cpu_per_call), "µs"),
        Measure("metering.p50", figure(whole, Turn.p50), "µs"),
        Measure("metering.p50_unmetered", figure(without, Turn.p50), "µs"),
    ]
