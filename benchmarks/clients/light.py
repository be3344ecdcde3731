"""Load generators of single calls and of batches that leave the machine to the server.

See `benchmarks.clients.http2`. ``in_flight`` of the job is spread over its connections. The requests,
each with an id of its own, are made before the round, for making them takes half as much as calling.

``python -m benchmarks.clients.light`` asks about one company at a time, with ``batch`` behind it about
as many as the job says; an answer has to be as long as that takes.
"""

import random
import resource
import sys
from collections.abc import Iterator
from itertools import chain, repeat, starmap
from time import perf_counter
from typing import Final

from benchmarks.clients.calling import Measured
from benchmarks.clients.http2 import Connection, keep_calling
from benchmarks.clients.protocol import answer, read_job, rounds_asked
from benchmarks.shape import subject_code
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    GetSubjectRecordsRequest,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from sdk.request_ids import new_request_id

BATCH: Final = "batch"
_SERVICE: Final = "/creditgate.v1.CreditRecordService"
_PURPOSE: Final = Purpose.PURPOSE_CREDIT_APPROVAL
_MADE_A_SECOND: Final = 10_000
"""Requests about a company made beforehand for each second of a round; what it takes beyond them is
made in it."""


def _main(batches: bool) -> None:
    job = read_job()
    at_once = job.batch if batches else 1
    subjects = [subject_code(number) for number in range(job.subjects)]

    def single() -> bytes:
        return GetSubjectRecordsRequest(
            subject=random.choice(subjects), purpose=_PURPOSE, request_id=new_request_id()
        ).SerializeToString()

    def batch() -> bytes:
        return BatchGetSubjectRecordsRequest(
            subjects=random.sample(subjects, at_once),
            purpose=_PURPOSE,
            request_id=new_request_id(),
        ).SerializeToString()

    method, request = (
        ("BatchGetSubjectRecords", batch) if batches else ("GetSubjectRecords", single)
    )

    def requests(seconds: float) -> Iterator[bytes]:
        made = [request() for _ in range(int(seconds * _MADE_A_SECOND / at_once))]
        return chain(made, starmap(request, repeat(())))

    for wanted in rounds_asked():
        # Anew for each round: nobody answers pings between them, and each round spreads them
        # over the processes by another chance.
        connections = [
            Connection(job, f"{_SERVICE}/{method}", wanted.token) for _ in range(job.connections)
        ]
        messages = requests(wanted.seconds)
        cpu, started = _own_cpu(), perf_counter()
        seen = keep_calling(connections, messages, job.in_flight // job.connections, wanted.seconds)
        ended = perf_counter()
        measured = Measured([took for _, took in seen], longest=max(size for size, _ in seen))
        outcome = measured.outcome(started, ended, _own_cpu() - cpu)
        for connection in connections:
            connection.close()
        if min(size for size, _ in seen) < job.least_bytes * at_once:
            raise SystemExit("An answer is not the one asked for.")
        answer(outcome)


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    _main(BATCH in sys.argv)
