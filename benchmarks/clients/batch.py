"""Load generator of BatchGetSubjectRecords: whole batches, one after the other.

Answers are parsed, for their records are counted by the receipts.
"""

import random
from functools import partial
from typing import Any

import grpc
import uvloop

from benchmarks.clients.calling import Call, Measured, open_channels, serve_rounds
from benchmarks.clients.protocol import Round, read_job
from benchmarks.shape import subject_code
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from sdk.request_ids import new_request_id

_METHOD = "/creditgate.v1.CreditRecordService/BatchGetSubjectRecords"


async def _main() -> None:
    job = read_job()
    subjects = [subject_code(number) for number in range(job.subjects)]
    streams = [channel.unary_stream(_METHOD) for channel in open_channels(job)]

    def begin(wanted: Round, measured: Measured) -> list[Call]:
        metadata = (("authorization", f"Bearer {wanted.token}"),)

        async def call(stream: grpc.aio.UnaryStreamMultiCallable[bytes, Any]) -> int:
            request = BatchGetSubjectRecordsRequest(
                subjects=random.sample(subjects, min(len(subjects), job.batch)),
                purpose=Purpose.PURPOSE_CREDIT_APPROVAL,
                request_id=new_request_id(),
            )
            size = 0
            async for answer in stream(request.SerializeToString(), metadata=metadata):
                size += len(answer)
                chunk = BatchGetSubjectRecordsResponse.FromString(answer)
                measured.records += chunk.receipt.charged_entries
            return size

        # Each keeps to its connection: chosen anew each time, most would wait where most are.
        return [partial(call, streams[each % len(streams)]) for each in range(job.in_flight)]

    await serve_rounds(job, begin)


if __name__ == "__main__":
    uvloop.run(_main())
