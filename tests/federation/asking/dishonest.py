"""Home regions that are slow or dishonest, by what is asked of them under an id."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.federation.asking import directories, log_sizes, own_directory, service
from gateway.federation.home.service import FederatedRecords, _Retried  # pyright: ignore[reportPrivateUsage]


class Homes:
    """What home regions do besides answering honestly.

    ``delays`` are seconds by request id; ``charges`` a company by the request id under which its
    records are charged, whoever is asked about; ``hidden`` are those that directories leave out.
    ``most_waiting`` is how many requests were delayed at one time.
    """

    def __init__(self) -> None:
        self.delays: dict[str, float] = {}
        self.charges: dict[str, str] = {}
        self.hidden: set[str] = set()
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
        retried = _Retried(caller.operator_id, request.request_id, request.resume_from)
        yield await self._before(retried)
        raise Refused(RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED, "It has ended.")

    def not_hidden(self: Any, now: int) -> list[str]:
        return [subject for subject in subjects(self, now) if subject not in made.hidden]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FederatedRecords, "query_records", query_records)
        patched.setattr(own_directory.OwnDirectory, "_subjects", not_hidden)
        patched.setattr(own_directory, "FRESH_SECONDS", 1)
        patched.setattr(directories, "REFRESH_SECONDS", 1.0)
        patched.setattr(directories, "GIVEN_SECONDS", 3)
        patched.setattr(directories, "_LOOK_SECONDS", 0.3)
        patched.setattr(log_sizes, "APART_SECONDS", 1)
        # What is asked by chance is no part of these examples.
        patched.setattr(service, "DOUBTED_ONE_IN", 1 << 62)
        yield made
