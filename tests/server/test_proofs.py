"""Answers of served gateways are proved, by every process, and verified with a fetched key."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import grpc

from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import VerifiedAnswer
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from sdk.answers import KeptAnswer
from sdk.log_keys import log_key
from tests.installation import PUBLISHER, PURPOSE, Installation, company
from tests.server.calls import draft, publish

COMPLETE, INCLUSION = ProofKind.PROOF_KIND_COMPLETE, ProofKind.PROOF_KIND_INCLUSION


async def asked(
    channel: grpc.aio.Channel, number: int, kind: ProofKind.ValueType, key: VerifierKey
) -> VerifiedAnswer:
    """Ask for a company's records with a proof, and verify the answer."""
    request = records_pb.GetSubjectRecordsRequest(
        subject=company(number), purpose=PURPOSE, request_id=str(uuid4()), proof=kind
    )
    stub = records_grpc.CreditRecordServiceStub(channel)
    answer = await stub.GetSubjectRecords(request, timeout=10)
    return KeptAnswer.of(request, answer).verified(key)


async def test_every_process_proves_what_was_just_disclosed_by_another(
    installation: Installation,
) -> None:
    async with AsyncExitStack() as stack:
        served = [
            (await stack.enter_async_context(installation.process())).gateway for _ in range(2)
        ]
        key = await asyncio.to_thread(log_key, served[0].credentials())
        asking = [await stack.enter_async_context(each.channel()) for each in served]
        for number, publishing in enumerate(served, 1):
            async with publishing.channel(PUBLISHER) as channel:
                done = await publish(channel, [draft(f"r-{number}", company(number))])
            for channel in asking:
                verified = await asked(channel, number, COMPLETE, key)
                assert [record.name for record in verified.records] == [f"records/r-{number}"]
                assert verified.head is not None
                assert verified.head.event_sequence >= done.disclosure_sequence
                included = await asked(channel, number, INCLUSION, key)
                assert included.records == verified.records
        assert (await asked(asking[0], 9, COMPLETE, key)).records == ()
