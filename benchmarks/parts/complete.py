"""GetSubjectRecords with a proof of completeness, against the same call without one.

Nothing is disclosed meanwhile, so a proof made once is kept for whoever asks again; each
company is asked about many times.
"""

from typing import Final

from benchmarks.parts.stage import Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.results import Measure
from benchmarks.rounds import Turn, figure, ratio
from benchmarks.shape import Shape
from creditgate.v1.disclosure_proof_pb2 import ProofKind

_SHAPE: Final = Shape(subjects=2_000, records_each=3)


def measure(stage: Stage) -> list[Measure]:
    """Return what a proof adds to a call: time of the server, and bytes."""

    without_one, with_one = stage.started_anew(
        stage.side("unproved", _SHAPE, CLIENT),
        stage.side("proved", _SHAPE, CLIENT, proof=ProofKind.PROOF_KIND_COMPLETE),
    )
    return [
        Measure(
            "complete.server_cpu_over_no_proof",
            ratio(with_one, without_one, Turn.cpu_per_call),
            at_most=1.25,
        ),
        Measure(
            "complete.throughput_of_no_proof",
            ratio(with_one, without_one, Turn.calls_per_second),
        ),
        Measure("complete.server_cpu_per_call", figure(with_one, Turn.cpu_per_call), "µs"),
        Measure("complete.server_cpu_no_proof", figure(without_one, Turn.cpu_per_call), "µs"),
        Measure("complete.p99", figure(with_one, Turn.p99), "µs"),
        Measure(
            "complete.longest_answer",
            figure(with_one, lambda turn: turn.outcome.longest_bytes),
            "B",
        ),
        Measure(
            "complete.longest_answer_no_proof",
            figure(without_one, lambda turn: turn.outcome.longest_bytes),
            "B",
        ),
    ]
