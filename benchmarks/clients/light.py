"""Load generator of GetSubjectRecords calls that leaves the machine to the server.

See `benchmarks.clients.http2`. ``in_flight`` of the job is spread over its connections.
"""

import random
import resource
from time import perf_counter

from benchmarks.clients.calling import Measured
from benchmarks.clients.http2 import Connection, keep_calling
from benchmarks.clients.protocol import answer, read_job, rounds_asked
from benchmarks.shape import subject_code
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from creditgate.v1.vocabulary_pb2 import Purpose
from sdk.request_ids import new_request_id

_METHOD = "/creditgate.v1.CreditRecordService/GetSubjectRecords"


def _main() -> None:
    job = read_job()
    subjects = [subject_code(number) for number in range(job.subjects)]

    def request() -> bytes:
        return GetSubjectRecordsRequest(
            subject=random.choice(subjects),
            purpose=Purpose.PURPOSE_CREDIT_APPROVAL,
            request_id=new_request_id(),
        ).SerializeToString()

    connections = [Connection(job, _METHOD, request) for _ in range(job.connections)]
    for wanted in rounds_asked():
        for connection in connections:
            connection.show(wanted.token)
        cpu, started = _own_cpu(), perf_counter()
        seen = keep_calling(connections, job.in_flight // job.connections, wanted.seconds)
        ended = perf_counter()
        if min(size for size, _ in seen) < job.least_bytes:
            raise SystemExit("An answer is not the one asked for.")
        measured = Measured([took for _, took in seen], longest=max(size for size, _ in seen))
        answer(measured.outcome(started, ended, _own_cpu() - cpu))


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    _main()
