"""The cost of a call as the disclosure grows a hundredfold."""

from typing import Final

from benchmarks.parts.stage import Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Turn, figure, ratio, take_turns
from benchmarks.shape import Shape

_SMALL: Final = Shape(subjects=2_500, records_each=4)
_LARGE: Final = Shape(subjects=250_000, records_each=4)


def measure(stage: Stage) -> list[Measure]:
    """Return a call's server CPU at a million records over that at ten thousand."""
    with (
        stage.gateway(_SMALL) as few,
        stage.gateway(_LARGE) as many,
        few.loaded(CLIENT) as small,
        many.loaded(CLIENT) as large,
    ):
        among_few, among_many = take_turns((small, large), stage.pace)
    return [
        Measure(
            "lookup.server_cpu_1000000_over_10000_records",
            ratio(among_many, among_few, Turn.cpu_per_call),
            at_most=1.3,
        ),
        Measure(
            "lookup.server_cpu_per_call_10000_records",
            figure(among_few, Turn.cpu_per_call),
            "µs",
        ),
        Measure(
            "lookup.server_cpu_per_call_1000000_records",
            figure(among_many, Turn.cpu_per_call),
            "µs",
        ),
    ]
