"""GetSubjectRecords under a consent, against the same call for an item that is public."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from benchmarks.parts.stage import Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Side, Turn, figure, ratio
from benchmarks.shape import CONSENT_ITEM, ITEM, Shape

# Each company has as many records of either item, all alike, and a consent of its own.
_CONSENTED: Final = Shape(subjects=1_000, records_each=3, consented=True)


def measure(stage: Stage) -> list[Measure]:
    """Return what it adds to a call that it rests on a consent, judged and counted."""

    @contextmanager
    def open_to_all() -> Generator[Side]:
        with stage.apart("public").gateway(_CONSENTED) as gateway:
            job = gateway.job.model_copy(update={"items": (ITEM,)})
            with gateway.loaded(CLIENT, job) as side:
                yield side

    @contextmanager
    def consented() -> Generator[Side]:
        with stage.apart("consented").gateway(_CONSENTED) as gateway:
            asking = {"items": (CONSENT_ITEM,), "consented": True}
            with gateway.loaded(CLIENT, gateway.job.model_copy(update=asking)) as side:
                yield side

    without_one, under_one = stage.started_anew(open_to_all, consented)
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
