"""BatchGetSubjectRecords streamed to its end: how fast, and at what cost a record."""

from typing import Final

from benchmarks.parts.stage import USUAL, Stage
from benchmarks.results import Measure
from benchmarks.rounds import Turn, figure, take_turns

CLIENT: Final = "benchmarks.clients.batch"
_IN_FLIGHT: Final = 2


def measure(stage: Stage) -> list[Measure]:
    """Return records a second, by the clock and by server CPU."""
    with stage.gateway(USUAL) as gateway:
        streams = {"connections": _IN_FLIGHT, "in_flight": _IN_FLIGHT}
        with gateway.loaded(CLIENT, gateway.job.model_copy(update=streams)) as side:
            (turns,) = take_turns((side,), stage.pace)
    return [
        Measure(
            "batch.records_per_core_second",
            figure(turns, Turn.records_per_core_second),
            "records/s",
            at_least=150_000,
        ),
        Measure(
            "batch.records_per_second",
            figure(turns, Turn.records_per_second),
            "records/s",
        ),
    ]
