"""Records of many subjects taken against acknowledgements: what a break loses is not paid for.

A record is acknowledged once the application has come back for more, so what it was at when it
failed is not. A call that breaks is taken up again by itself; what was given before is not given
again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

import grpc

from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
    DeliverSubjectRecordsRequest,
    DeliveryAcknowledgement,
)
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from sdk.following import seconds_to_wait
from sdk.refusals import explain
from sdk.usage import keeping, keeping_refused
from sdk.usage_book import UsageBook

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 1.0
# Who must wait for longer had better be told.
_MOST_WAIT_SECONDS: Final = 60.0
# The gateway ends calls that say nothing for a minute.
_SIGN_SECONDS: Final = 20.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveredChunk:
    """A chunk that came whole: ``parts`` are the messages it came in, ``request`` the request
    it answers, of which ``first`` is the first of ``subjects`` subjects."""

    request: BatchGetSubjectRecordsRequest
    first: int
    subjects: int
    parts: Sequence[BatchGetSubjectRecordsResponse]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Records that came, and the chunk they are the last of, None where more of it are to come."""

    records: Sequence[DisclosedRecord]
    chunk: DeliveredChunk | None


class Delivery:
    """One delivery over a channel of `sdk.connection.connect`.

    ``request`` says what is asked for; its resume_from moves past each chunk that was
    acknowledged. Receipts are kept in ``book``, if one is given, before their chunks are given on;
    ``new`` tells, as `UsageBook.sending` has it, that nobody has sent the request before.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        request: BatchGetSubjectRecordsRequest,
        book: UsageBook | None = None,
        *,
        new: bool = False,
    ) -> None:
        self._channel = channel
        self._stub = CreditRecordServiceStub(channel)
        self._request = request
        self._book = book
        self._is_new = new
        self._chunk = request.resume_from
        # Of the chunk that is under way: the revisions given on, and whether it was as a whole.
        self._given: set[int] = set()
        self._whole = False

    async def records(self) -> AsyncGenerator[Delivered]:
        """Yield all that comes, each record once, as often as the call has to be made for it.

        Leave it by ``contextlib.aclosing``. Raises grpc.RpcError for refusals, and for breaks
        that five attempts without a record do not mend; ProofInvalid for a receipt that is not of
        what came.
        """
        failed = 0
        while True:
            try:
                async with aclosing(self._call()) as answers:
                    async for came in answers:
                        failed = 0
                        yield came
                return
            except grpc.RpcError as error:
                failed += 1
                wait = _seconds_to_wait(error)
                if failed == _ATTEMPTS or wait is None or wait > _MOST_WAIT_SECONDS:
                    if self._book is not None:
                        request_id = self._request.request_id
                        await keeping_refused(self._channel, self._book, error, request_id)
                    raise
            _log.warning("a delivery is taken up again from subject %d on", self._chunk)
            # gRPC itself tries to connect less and less often.
            await asyncio.sleep(max(wait, _PAUSE_SECONDS * 2 ** (failed - 1)))

    async def _call(self) -> AsyncGenerator[Delivered]:
        """Yield what one call gives that was not given before, and acknowledge it after."""
        sent = BatchGetSubjectRecordsRequest()
        sent.CopyFrom(self._request)
        if sent.resume_from >= len(sent.subjects):
            # The end was not heard of, so the last chunk comes once more.
            sent.resume_from = self._chunk
        if self._book is not None:
            now = int(time.time())
            await asyncio.to_thread(self._book.sending, sent.request_id, now, new=self._is_new)
        saying = _Saying(sent)
        call = self._stub.DeliverSubjectRecords(saying.messages())
        parts: list[BatchGetSubjectRecordsResponse] = []
        received = 0
        try:
            async for answer in call:
                part = answer.chunk
                parts.append(part)
                received += len(part.records)
                came = Delivered(self._new(part), await self._whole_of(sent, parts))
                if came.records or came.chunk is not None:
                    yield came
                # Whoever takes it has come back for more.
                saying.say(received)
                if part.chunk_complete:
                    self._request.resume_from = part.first_subject + part.subject_count
                    parts = []
        finally:
            saying.end()
            # An abandoned call of grpc.aio stays in flight for ever.
            call.cancel()

    def _new(self, part: BatchGetSubjectRecordsResponse) -> list[DisclosedRecord]:
        """Return the records of a message that were not given before."""
        if part.first_subject != self._chunk:
            self._chunk, self._whole = part.first_subject, False
            self._given.clear()
        new = [each for each in part.records if each.event_sequence not in self._given]
        self._given.update(each.event_sequence for each in new)
        return new

    async def _whole_of(
        self,
        sent: BatchGetSubjectRecordsRequest,
        parts: Sequence[BatchGetSubjectRecordsResponse],
    ) -> DeliveredChunk | None:
        last = parts[-1]
        if not last.chunk_complete or self._whole:
            return None
        if self._book is not None:
            keep = partial(self._book.keep, *parts, request_id=sent.request_id)
            await keeping(self._channel, self._book, keep)
        self._whole = True
        return DeliveredChunk(sent, last.first_subject, last.subject_count, parts)


def _seconds_to_wait(error: grpc.RpcError) -> float | None:
    """Return the least seconds to wait before the call is made again; None where that mends
    nothing."""
    refusal = explain(error)
    if refusal.status == "INTERNAL" and not refusal.reason:
        # What gRPC tells who was sending when the call ended: the next call says why it did.
        return 0.0
    return seconds_to_wait(error)


class _Saying:
    """What the client's side of a call says: the opening, then how many records it has, of which
    only the newest number matters."""

    def __init__(self, opening: BatchGetSubjectRecordsRequest) -> None:
        self._opening = opening
        self._records = 0
        self._is_over = False
        self._news = asyncio.Event()

    def say(self, records: int) -> None:
        """Acknowledge so many records of the call."""
        self._records = records
        self._news.set()

    def end(self) -> None:
        """Say nothing more."""
        self._is_over = True
        self._news.set()

    async def messages(self) -> AsyncGenerator[DeliverSubjectRecordsRequest]:
        """Yield what is to be sent, in order."""
        yield DeliverSubjectRecordsRequest(open=self._opening)
        while True:
            try:
                async with asyncio.timeout(_SIGN_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                # Said again, it is a sign that somebody is at it still.
                pass
            if self._is_over:
                return
            self._news.clear()
            yield DeliverSubjectRecordsRequest(
                acknowledgement=DeliveryAcknowledgement(records=self._records)
            )
