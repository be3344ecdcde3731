"""Record calls behind the throttle: asked before anything else is done for them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Protocol

from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    DeliverSubjectRecordsRequest,
    GetRecordRequest,
    GetSubjectRecordsRequest,
)
from gateway.authenticate.caller import Caller
from gateway.conformance.throttle import Throttle
from gateway.respond.delivery import opening


class Records(Protocol):
    """What serves records; see `gateway.respond.service.CreditRecordService`."""

    def get_subject_records(
        self, request: GetSubjectRecordsRequest, caller: Caller
    ) -> Awaitable[bytes]:
        """Answer GetSubjectRecords."""
        ...

    def get_record(self, request: GetRecordRequest, caller: Caller) -> Awaitable[bytes]:
        """Answer GetRecord."""
        ...

    def batch_get_subject_records(
        self, request: BatchGetSubjectRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Answer BatchGetSubjectRecords."""
        ...

    def deliver_subject_records(
        self,
        request: BatchGetSubjectRecordsRequest,
        heard: AsyncIterator[DeliverSubjectRecordsRequest],
        caller: Caller,
    ) -> AsyncGenerator[bytes]:
        """Answer DeliverSubjectRecords, opened by ``request``."""
        ...


class ThrottledRecords:
    """The methods of CreditRecordService, for those the throttle lets through.

    Nothing but a look into a set stands between a call and ``records``. Each method raises
    Refused RATE_EXCEEDED, and what it does in ``records``.
    """

    def __init__(self, records: Records, throttle: Throttle) -> None:
        self._records = records
        self._throttle = throttle

    def get_subject_records(
        self, request: GetSubjectRecordsRequest, caller: Caller
    ) -> Awaitable[bytes]:
        """Answer GetSubjectRecords."""
        self._throttle.require(caller.operator_id, 1)
        return self._records.get_subject_records(request, caller)

    def get_record(self, request: GetRecordRequest, caller: Caller) -> Awaitable[bytes]:
        """Answer GetRecord."""
        self._throttle.require(caller.operator_id, 1)
        return self._records.get_record(request, caller)

    def batch_get_subject_records(
        self, request: BatchGetSubjectRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Answer BatchGetSubjectRecords."""
        self._throttle.require(caller.operator_id, _asked(request))
        return self._records.batch_get_subject_records(request, caller)

    async def deliver_subject_records(
        self, heard: AsyncIterator[DeliverSubjectRecordsRequest], caller: Caller
    ) -> AsyncGenerator[bytes]:
        """Answer DeliverSubjectRecords."""
        request = await opening(heard)
        self._throttle.require(caller.operator_id, _asked(request))
        answers = self._records.deliver_subject_records(request, heard, caller)
        # What a call that breaks off has to do is done before it is over.
        async with aclosing(answers):
            async for answer in answers:
                yield answer


def _asked(request: BatchGetSubjectRecordsRequest) -> int:
    return max(1, len(request.subjects) - max(0, request.resume_from))
