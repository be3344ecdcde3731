"""Home regions that are slow or dishonest, by what is asked of them under an id."""

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsRequest
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.federation.asking import directories, log_sizes, own_directory, service
from gateway.federation.home.service import FederatedRecords, _Coming  # pyright: ignore[reportPrivateUsage]
from gateway.respond import service as responding
from gateway.respond.service import CreditRecordService
from gateway.respond.use import Use


class Homes:
    """What home regions do besides answering honestly.

    ``delays`` are seconds by request id; ``charges`` a company by the request id under which its
    records are charged, whoever is asked about, and ``answered`` the ids under which they are given
    too; ``hidden`` are those that directories leave out.
    ``chunks`` are how many subjects a chunk has, and ``receipts`` the request id that the receipt is
    made out to, both by request id. ``most_waiting`` is how many requests were delayed at one time.
    """

    def __init__(self) -> None:
        self.delays: dict[str, float] = {}
        self.charges: dict[str, str] = {}
        self.answered: set[str] = set()
        self.hidden: set[str] = set()
        self.chunks: dict[str, int] = {}
        self.receipts: dict[str, str] = {}
        self.waiting: Counter[str] = Counter()
        self.most_waiting = 0

    def forget(self) -> None:
        """Count who is delayed from now on alone."""
        self.waiting.clear()
        self.most_waiting = 0


@contextmanager
def homes() -> Generator[Homes]:
    """Have regions do what `Homes` says, and directories made and fetched all the time."""
    made = Homes()
    answering = FederatedRecords.query_records
    subjects = own_directory.OwnDirectory._subjects  # pyright: ignore[reportPrivateUsage]
    serving, use_of = CreditRecordService.batch_get_subject_records, responding.use_of

    async def query_records(
        self: Any, request: QueryRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        if delay := made.delays.get(request.request_id):
            # One that is hedged is one all the same.
            made.waiting[request.request_id] += 1
            made.most_waiting = max(made.most_waiting, len(+made.waiting))
            try:
                await asyncio.sleep(delay)
            finally:
                made.waiting[request.request_id] -= 1
        if (charged := made.charges.get(request.request_id)) is None:
            async for message in answering(self, request, caller):
                yield message
            return
        other = QueryRecordsRequest()
        other.CopyFrom(request)
        other.subjects[:] = [charged]
        while True:
            try:
                async for _ in answering(self, other, caller):
                    pass
                break
            except Refused:
                # Not known yet: an honest home would have it asked again.
                await asyncio.sleep(0.1)
        coming = _Coming(caller.operator_id, request.request_id, request.resume_from)
        yield await self._before(coming, ())
        if request.request_id in made.answered:
            async for message in answering(self, other, caller):
                yield message
            return
        raise Refused(RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED, "It has ended.")

    def not_hidden(self: Any, now: int) -> list[str]:
        return [subject for subject in subjects(self, now) if subject not in made.hidden]

    async def batch(
        self: Any, request: BatchGetSubjectRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        if (size := made.chunks.get(request.request_id)) is not None:
            honest, begun = self._limits.chunk_subjects, self._begun
            self = copy.copy(self)
            self._limits = replace(self._limits, chunk_subjects=size)

            def as_before(request: BatchGetSubjectRecordsRequest, caller: Caller, _: int) -> Any:
                # The same payload as before, so that what was metered is given again.
                return begun(request, caller, honest)

            self._begun = as_before
        async for message in serving(self, request, caller):
            yield message

    def made_out(caller: Caller, request: Any, *args: Any, **more: Any) -> Use:
        use = use_of(caller, request, *args, **more)
        return use._replace(request_id=made.receipts.get(use.request_id, use.request_id))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CreditRecordService, "batch_get_subject_records", batch)
        patched.setattr(responding, "use_of", made_out)
        patched.setattr(FederatedRecords, "query_records", query_records)
        patched.setattr(own_directory.OwnDirectory, "_subjects", not_hidden)
        patched.setattr(own_directory, "FRESH_SECONDS", 1)
        patched.setattr(directories, "REFRESH_SECONDS", 1.0)
        patched.setattr(directories, "GIVEN_SECONDS", 3)
        patched.setattr(directories, "_LOOK_SECONDS", 0.3)
        patched.setattr(directories, "_RETRY_SECONDS", 1.0)
        patched.setattr(log_sizes, "APART_SECONDS", 1)
        # What is asked by chance is no part of these examples.
        patched.setattr(service, "DOUBTED_ONE_IN", 1 << 62)
        yield made
