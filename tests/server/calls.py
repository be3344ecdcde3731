"""Calls as operators and publishers make them."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.descriptor import MethodDescriptor

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from creditgate.v1.vocabulary_pb2 import Purpose, Severity
from tests.installation import PUBLIC_ITEM, PURPOSE, REGION, SOURCE, company, content

_DAY = 86_400


async def call_raw(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    message: bytes = b"",
    several: Sequence[bytes] = (),
) -> None:
    """Call any method with raw bytes, one message or, where it takes a stream, ``several``, and
    read its answer."""

    async def sent() -> AsyncIterator[bytes]:
        for each in several:
            yield each

    path = f"/{method.containing_service.full_name}/{method.name}"
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    make: Callable[..., Any] = getattr(channel, kind)
    call = make(path)(sent() if method.client_streaming else message, timeout=10)
    if method.server_streaming:
        async for _ in call:
            pass
    else:
        await call


def draft(record_id: str, subject: str, item: str = PUBLIC_ITEM) -> disclosure_pb.RecordDraft:
    """Return a serious record disclosed from yesterday for two years."""
    now = int(time.time())
    record = disclosure_pb.RecordDraft(
        record_id=record_id,
        subject=subject,
        item=item,
        source=SOURCE,
        region=REGION,
        severity=Severity.SEVERITY_SERIOUS,
        content=content(record_id),
    )
    record.disclosed_from.seconds = now - _DAY
    record.disclosed_until.seconds = now + 730 * _DAY
    return record


async def publish(
    channel: grpc.aio.Channel, drafts: Iterable[disclosure_pb.RecordDraft], batch_id: str = ""
) -> disclosure_pb.PublishRecordsResponse:
    """Publish drafts as one batch."""

    async def batches() -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
        yield disclosure_pb.PublishRecordsRequest(
            batch_id=batch_id or str(uuid4()), records=list(drafts)
        )

    stub = disclosure_grpc.DisclosureServiceStub(channel)
    answer: disclosure_pb.PublishRecordsResponse = await stub.PublishRecords(batches())
    assert not answer.rejections, answer.rejections
    return answer


async def query(
    channel: grpc.aio.Channel,
    subject: str = "",
    *,
    items: Iterable[str] = (),
    purpose: Purpose.ValueType = PURPOSE,
    request_id: str = "",
    seconds: float = 10,
) -> records_pb.GetSubjectRecordsResponse:
    """Ask for one subject's records."""
    answer: records_pb.GetSubjectRecordsResponse = await records_grpc.CreditRecordServiceStub(
        channel
    ).GetSubjectRecords(
        records_pb.GetSubjectRecordsRequest(
            subject=subject or company(1),
            items=list(items),
            purpose=purpose,
            request_id=request_id or str(uuid4()),
        ),
        timeout=seconds,
    )
    return answer
