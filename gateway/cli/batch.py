"""A batch taken whole: chunks in order, the stream taken up again where it broke."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
    Receipt,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from gateway.cli.calls import Gateway

if TYPE_CHECKING:
    from sdk.usage_book import UsageBook

_ATTEMPTS: Final = 5
_WAIT_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """The records of ``subjects`` subjects of a batch, all its parts joined.

    ``parts`` are the messages it came in, ``request`` is the request it answers, of which
    ``first`` is the first subject.
    """

    subjects: int
    records: Sequence[DisclosedRecord]
    receipt: Receipt
    first: int
    request: BatchGetSubjectRecordsRequest
    parts: Sequence[BatchGetSubjectRecordsResponse]


async def chunks(
    gateway: Gateway,
    request: BatchGetSubjectRecordsRequest,
    begin: Callable[[], None] = lambda: None,
) -> AsyncIterator[Chunk]:
    """Yield the chunks of a batch, each once; ``begin`` is called before each time it is sent.

    A connection that breaks, or a stream whose token runs out, is tried again from the first chunk not yet whole, with the
    same request id, so that nothing is charged twice. Raises grpc.RpcError for refusals,
    and for a break that five attempts don't mend.
    """
    import grpc

    attempts = _ATTEMPTS
    while True:
        begin()
        try:
            async for chunk in _stream(gateway, request):
                yield chunk
                attempts = _ATTEMPTS
            return
        except grpc.RpcError as error:
            attempts -= 1
            if not attempts or not _is_broken(error):
                raise
            await asyncio.sleep(_WAIT_SECONDS)


async def delivered(
    gateway: Gateway,
    request: BatchGetSubjectRecordsRequest,
    book: "UsageBook | None" = None,
    *,
    new: bool = False,
) -> AsyncGenerator[tuple[Sequence[DisclosedRecord], Chunk | None]]:
    """Yield records of a batch as they come, each once and acknowledged after, and with the last
    of a chunk the chunk; ``book`` and ``new`` as `sdk.deliveries.Delivery` has them.

    Raises as `sdk.deliveries.Delivery.records`.
    """
    from sdk.deliveries import Delivery

    async with aclosing(Delivery(gateway.channel, request, book, new=new).records()) as answers:
        async for came in answers:
            whole = came.chunk
            if whole is None:
                yield came.records, None
                continue
            records = [record for part in whole.parts for record in part.records]
            receipt = whole.parts[-1].receipt
            yield (
                came.records,
                Chunk(whole.subjects, records, receipt, whole.first, whole.request, whole.parts),
            )


async def _stream(gateway: Gateway, request: BatchGetSubjectRecordsRequest) -> AsyncIterator[Chunk]:
    """Yield whole chunks, moving ``request.resume_from`` past each."""
    sent = BatchGetSubjectRecordsRequest()
    sent.CopyFrom(request)
    parts: list[BatchGetSubjectRecordsResponse] = []
    stream = gateway.stream(sent, BatchGetSubjectRecordsResponse)
    try:
        async for part in stream:
            parts.append(part)
            if part.chunk_complete:
                first, count = part.first_subject, part.subject_count
                request.resume_from = first + count
                records = [record for each in parts for record in each.records]
                yield Chunk(count, records, part.receipt, first, sent, parts)
                parts = []
    finally:
        # An abandoned call of grpc.aio stays in flight for ever.
        stream.cancel()


def _is_broken(error: Exception) -> bool:
    """Tell whether the stream can be taken up again: the connection failed, or only the
    token it began with is over, which the next call brings anew."""
    import grpc

    from sdk.refusals import explain

    if not isinstance(error, grpc.RpcError):
        return False
    refusal = explain(error)
    return refusal.reason == "TOKEN_EXPIRED" or (refusal.away and not refusal.reason)
