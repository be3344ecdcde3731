"""A stream that its client drops, or that is refused, is forgotten at once, not when memory is next
tidied, and its connection stays usable."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from creditgate.scopes import services
from creditgate.v1 import conformance_service_pb2 as copies_pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from sdk.refusals import explain
from tests.installation import OPERATOR_CLIENT, PUBLISHER, PURPOSE, Gateway, company, furnished
from tests.server.calls import draft, publish, query
from tests.server.forgotten import forgotten
from tests.stores import SqliteStores

DROPPED = 300
AT_ONCE = 30
"""Streams that one connection may have open."""
PAUSES = (0, 0.001, 0.002, 0.003)
SUBJECTS = 20
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """One gateway with a record of each subject."""
    with furnished(sqlite_stores) as installation:
        async with installation.running(max_streams_per_client=AT_ONCE) as gateway:
            async with gateway.channel(PUBLISHER) as publisher:
                await publish(publisher, [draft(f"r-{i}", company(i)) for i in range(SUBJECTS)])
            yield gateway


@pytest.fixture
def untidied() -> Iterator[None]:
    """No cycle of objects is collected, but those of before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def streaming() -> list[MethodDescriptor]:
    """Return the methods that take a stream."""
    return [m for service in services() for m in service.methods if m.client_streaming]


def first_message(method: MethodDescriptor) -> Message | None:
    """Return what a call begins with, so that there is work to do when it is dropped."""
    match method.name:
        case "PublishRecords":
            return disclosure_pb.PublishRecordsRequest(
                batch_id=str(uuid4()), records=[draft(str(uuid4()), company(SUBJECTS))]
            )
        case "DeliverSubjectRecords":
            return opened()
        case "AttestCopies":
            return copies_pb.AttestCopiesRequest(opening=opening())
        case "ReconcileCopies":
            return copies_pb.ReconcileCopiesRequest(opening=opening())
        case _:
            return None


def opened() -> records_pb.DeliverSubjectRecordsRequest:
    """Return what a delivery is opened with."""
    return records_pb.DeliverSubjectRecordsRequest(
        open=records_pb.BatchGetSubjectRecordsRequest(
            subjects=[company(i) for i in range(SUBJECTS)],
            purpose=PURPOSE,
            request_id=str(uuid4()),
        )
    )


def opening() -> copies_pb.AttestationOpening:
    """Return what copies are attested with, one of them."""
    return copies_pb.AttestationOpening(request_id=str(uuid4()), copies=1)


async def drop(channel: grpc.aio.Channel, method: MethodDescriptor, number: int) -> None:
    """Open a stream, say one thing, and drop it a little later."""
    kind = "stream_stream" if method.server_streaming else "stream_unary"
    make: Callable[..., Any] = getattr(channel, kind)
    call = make(f"/{method.containing_service.full_name}/{method.name}")()
    message = first_message(method)
    await call.write(b"" if message is None else message.SerializeToString())
    await asyncio.sleep(PAUSES[number % len(PAUSES)])
    call.cancel()


@pytest.mark.usefixtures("untidied")
@pytest.mark.parametrize("method", streaming(), ids=lambda each: each.name)
async def test_dropped_streams_are_forgotten_and_leave_their_connection_usable(
    standing: Gateway, method: MethodDescriptor
) -> None:
    client = PUBLISHER if method.name == "PublishRecords" else OPERATOR_CLIENT
    async with standing.channel(client) as channel:
        for number in range(DROPPED):
            await drop(channel, method, number)
        if client == OPERATOR_CLIENT:
            await query(channel, company(0))
        else:
            await publish(channel, [draft(str(uuid4()), company(SUBJECTS))])
    assert await forgotten(AT_ONCE)


async def refused_delivery(stub: "records_grpc.CreditRecordServiceAsyncStub") -> str:
    """Open a delivery, acknowledge more than it gave, and return why it is refused."""
    call = stub.DeliverSubjectRecords()
    await call.write(opened())
    await call.read()
    await call.write(
        records_pb.DeliverSubjectRecordsRequest(
            acknowledgement=records_pb.DeliveryAcknowledgement(records=SUBJECTS + 1)
        )
    )
    await call.done_writing()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        while await call.read():
            pass
    return explain(refused.value).reason


@pytest.mark.usefixtures("untidied")
async def test_deliveries_refused_for_what_is_acknowledged_are_forgotten(
    standing: Gateway,
) -> None:
    async with standing.channel() as channel:
        stub = records_grpc.CreditRecordServiceStub(channel)
        told = [await refused_delivery(stub) for _ in range(AT_ONCE + 5)]
    assert set(told) == {"INVALID_REQUEST"}
    assert await forgotten(AT_ONCE)
