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
    without = stage.side("unmetered", USUAL, CLIENT, _UNMETERED)
    # By twos: a third that takes turns would do its work after the answers while others are called.
    ours, beside_ours = stage.started_anew(
        stage.side("metering", USUAL, CLIENT, _METERING), without
    )
    whole, beside_whole = stage.started_anew(stage.side("metered", USUAL, CLIENT), without)
    return [
        Measure(
            "metering.cpu_over_unmetered",
            ratio(ours, beside_ours, Turn.cpu_per_call),
            at_most=1.10,
        ),
        Measure(
            "metering.server_cpu_over_unmetered",
            ratio(whole, beside_whole, Turn.cpu_per_call),
        ),
        Measure(
            "metering.serving_cpu_over_unmetered",
            ratio(whole, beside_whole, Turn.serving_cpu_per_call),
        ),
        Measure(
            "metering.throughput_of_unmetered", ratio(whole, beside_whole, Turn.calls_per_second)
        ),
        Measure("metering.server_cpu_per_call", figure(whole, Turn.cpu_per_call), "µs"),
        Measure("metering.server_cpu_unmetered", figure(beside_whole, Turn.cpu_per_call), "µs"),
        Measure("metering.p50", figure(whole, Turn.p50), "µs"),
        Measure("metering.p50_unmetered", figure(beside_whole, Turn.p50), "µs"),
    ]
