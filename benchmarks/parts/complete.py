"""GetSubjectRecords with a proof of completeness, against the same call without one.

Nothing is disclosed meanwhile, so a proof made once is kept for whoever asks again; each
company is asked about many times.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from benchmarks.parts.stage import Gateway, Stage
from benchmarks.parts.unary import CLIENT
from benchmarks.processes import Failed
from benchmarks.results import Measure
from benchmarks.rounds import Turn, figure, ratio, take_turns
from benchmarks.shape import Shape
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from gateway.disclose.store import DisclosureStore
from gateway.storage.engines import Engines, open_engines, reading
from gateway.transparency.entries import last_head

_SHAPE: Final = Shape(subjects=2_000, records_each=3)
_LOGGED_SECONDS: Final = 300


def measure(stage: Stage) -> list[Measure]:
    """Return what a proof adds to a call: time of the server, and bytes."""
    with stage.gateway(_SHAPE) as gateway:
        wait_for_the_log(gateway)
        proving = gateway.job.model_copy(update={"proof": ProofKind.PROOF_KIND_COMPLETE})
        with gateway.loaded(CLIENT) as without, gateway.loaded(CLIENT, proving) as proved:
            without_one, with_one = take_turns((without, proved), stage.pace)
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
        Measure("complete.p99", figure(with_one, lambda turn: turn.outcome.p99_us), "µs"),
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


@contextmanager
def _stores(gateway: Gateway) -> Generator[Engines]:
    engines = open_engines("sqlite", gateway.home.root)
    try:
        yield engines
    finally:
        engines.dispose()


def wait_for_the_log(gateway: Gateway) -> None:
    """Return once log and map have come to what was put straight into the store.

    Raises Failed where that takes too long.
    """
    with _stores(gateway) as engines:
        newest = DisclosureStore(engines.records).head()
        until = time.monotonic() + _LOGGED_SECONDS
        while time.monotonic() < until:
            with reading(engines.evidence) as connection:
                head = last_head(connection)
            if head is not None and head.event_sequence >= newest:
                return
            time.sleep(0.1)
    raise Failed("the disclosure log did not come to the newest event in time")
