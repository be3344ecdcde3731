"""GetSubjectRecords under a consent, against the same call for an item that is public."""

from typing import Final

from benchmarks.parts.stage import Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Turn, figure, ratio
from benchmarks.shape import CONSENT_ITEM, ITEM, Shape

# Each company has as many records of either item, all alike, and a consent of its own.
_CONSENTED: Final = Shape(subjects=1_000, records_each=3, consented=True)


def measure(stage: Stage) -> list[Measure]:
    """Return what it adds to a call that it rests on a consent, judged and counted."""

    without_one, under_one = stage.started_anew(
        stage.side("public", _CONSENTED, CLIENT, items=(ITEM,)),
        stage.side("consented", _CONSENTED, CLIENT, items=(CONSENT_ITEM,), consented=True),
    )
    return [
        Measure(
            "consent.serving_cpu_over_public_item",
            ratio(under_one, without_one, Turn.serving_cpu_per_call),
        ),
        Measure(
            "consent.server_cpu_over_public_item",
            ratio(under_one, without_one, Turn.cpu_per_call),
            at_most=1.05,
        ),
        Measure(
            "consent.throughput_of_public_item",
            ratio(under_one, without_one, Turn.calls_per_second),
        ),
        Measure("consent.server_cpu_per_call", figure(under_one, Turn.cpu_per_call), "µs"),
        Measure("consent.server_cpu_public_item", figure(without_one, Turn.cpu_per_call), "µs"),
    ]
