"""Streams opened and dropped leave the server's memory as it was."""

import asyncio
from uuid import uuid4

import grpc
import psutil
import pytest

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from tests.installation import PUBLISHER, PURPOSE, Installation, company
from tests.server.calls import draft, publish

SUBJECTS = 200
AT_ONCE = 25


async def open_and_drop(channel: grpc.aio.Channel, streams: int) -> None:
    """Open streams, read one answer of each second one, drop them all."""
    stub = records_grpc.CreditRecordServiceStub(channel)

    async def one(number: int) -> None:
        call = stub.BatchGetSubjectRecords(
            records_pb.BatchGetSubjectRecordsRequest(
                subjects=[company(i) for i in range(SUBJECTS)],
                purpose=PURPOSE,
                request_id=str(uuid4()),
            )
        )
        if number % 2:
            await call.read()
        call.cancel()
        try:
            await call.code()
        except asyncio.CancelledError:
            return

    for start in range(0, streams, AT_ONCE):
        await asyncio.gather(*(one(start + i) for i in range(AT_ONCE)))


@pytest.mark.parametrize(
    ("streams", "most_growth"),
    [
        pytest.param(1_000, 24 << 20, id="1,000 streams"),
        pytest.param(10_000, 24 << 20, id="10,000 streams", marks=pytest.mark.soak),
    ],
)
async def test_streams_opened_and_dropped_leave_memory_flat(
    embedded: Installation, streams: int, most_growth: int
) -> None:
    async with embedded.program(chunk_subjects=20) as served:
        memory = psutil.Process(served.process.pid)
        async with served.gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft(f"r-{i}", company(i)) for i in range(SUBJECTS)])
        async with served.gateway.channel() as channel:
            # What is allocated once (caches, arenas, connections) comes first.
            await open_and_drop(channel, 300)
            before = memory.memory_info().rss
            await open_and_drop(channel, streams)
            await asyncio.sleep(0.5)
            growth = memory.memory_info().rss - before
        print(f"{streams} streams: {growth / (1 << 20):.1f} MiB more")
        assert growth < most_growth
