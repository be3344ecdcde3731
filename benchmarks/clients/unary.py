"""Load generator of GetSubjectRecords calls, over raw bytes.

Requests are made as clients make them; answers are measured, not parsed, so that the
client takes as little of the machine as it can.
"""

import random
from itertools import cycle, islice

import grpc
import uvloop

from benchmarks.clients.calling import Call, Measured, open_channels, serve_rounds
from benchmarks.clients.protocol import Job, Round, read_job
from benchmarks.shape import consent_id, subject_code
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsRequest
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.vocabulary_pb2 import Purpose
from sdk.request_ids import new_request_id

_METHOD = "/creditgate.v1.CreditRecordService/GetSubjectRecords"


def _calls(stub: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]", token: str, job: Job) -> Call:
    metadata = (("authorization", f"Bearer {token}"),)
    purpose = Purpose.PURPOSE_CREDIT_APPROVAL
    proof = ProofKind.ValueType(job.proof)

    async def call() -> int:
        number = random.randrange(job.subjects)
        request = GetSubjectRecordsRequest(
            subject=subject_code(number),
            items=job.items,
            purpose=purpose,
            request_id=new_request_id(),
            consent=f"consents/{consent_id(number)}" if job.consented else "",
            proof=proof,
        )
        return len(await stub(request.SerializeToString(), metadata=metadata))

    return call


async def _main() -> None:
    job = read_job()
    stubs = [channel.unary_unary(_METHOD) for channel in open_channels(job)]

    def begin(wanted: Round, _measured: Measured) -> list[Call]:
        return [_calls(stub, wanted.token, job) for stub in islice(cycle(stubs), job.in_flight)]

    await serve_rounds(job, begin)


if __name__ == "__main__":
    uvloop.run(_main())
