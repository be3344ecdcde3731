"""Clients that take deliveries badly: cut off, taken up again, left for good, acknowledged late.

What they acknowledged is held against the ledger by a model of their own: nobody pays for a record
that was not acknowledged, and what a delivery came to the end of is paid for whole.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import grpc

from creditgate.v1 import credit_record_service_pb2 as pb
from sdk.refusals import explain
from tests.installation import PURPOSE, company

if TYPE_CHECKING:
    from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceAsyncStub

CHUNK: Final = 3
WINDOW: Final = 8
GRACE: Final = 1
SENDING: Final = "Internal error from Core"
"""What gRPC tells who was sending when the call ended."""
# What a killed process, one that comes up again, and a token that ended give.
CUT_OFF: Final = {"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN", "UNAUTHENTICATED"}
SUBJECTS: Final = [company(number) for number in range(12)]
RECORDS: Final = {subject: number % 4 for number, subject in enumerate(SUBJECTS)}


@dataclass
class Taken:
    """A delivery: the revisions that came, those said to have come, and how it ended."""

    subjects: list[str]
    request_id: str = field(default_factory=lambda: uuid4().hex)
    came: set[int] = field(default_factory=set)
    said: set[int] = field(default_factory=set)
    is_whole: bool = False
    is_settled: bool = False
    is_left: bool = False

    @property
    def due(self) -> int:
        """How many records there are, by what was published."""
        return sum(RECORDS[each] for each in self.subjects)


@dataclass
class Takers:
    """What is taken, and what came of it."""

    chance: random.Random
    taken: list[Taken] = field(default_factory=list)
    over: bool = False

    async def take(self, stubs: Sequence["CreditRecordServiceAsyncStub"]) -> None:
        """Take deliveries until all processes are gone."""
        while not self.over:
            going_on = [
                each
                for each in self.taken
                if not (each.is_whole or each.is_settled or each.is_left)
            ]
            if going_on and self.chance.random() < 0.5:
                one = self.chance.choice(going_on)
            else:
                size = self.chance.choice((2, 7, 12))
                one = Taken(self.chance.sample(SUBJECTS, size))
                self.taken.append(one)
            one.is_left = self.chance.random() < 0.3
            # Now and then two calls at once, of which one gets it.
            calls = [self.chance.choice(stubs)] * self.chance.choice((1, 1, 1, 2))
            answered = await asyncio.gather(*(self.call(stub, one) for stub in calls))
            if not any(answered):
                await asyncio.sleep(0.02)

    async def call(self, stub: "CreditRecordServiceAsyncStub", one: Taken) -> bool:
        """Make one call of a delivery; tell whether the gateway answered it."""
        got: list[int] = []
        said: asyncio.Queue[int | None] = asyncio.Queue()
        most = self.chance.choice((3, 10, 10**6, 10**6))
        call = stub.DeliverSubjectRecords(self._messages(one, said), timeout=15)
        try:
            async for answer in call:
                new = [each.event_sequence for each in answer.chunk.records]
                got += new
                one.came.update(new)
                if len(got) > most:
                    # Left in the middle, by the client.
                    return True
                if got:
                    one.said.update(got)
                    said.put_nowait(len(got))
            one.is_whole = True
        except grpc.aio.AioRpcError as error:
            told = explain(error)
            if told.reason == "REQUEST_ID_REUSED":
                one.is_settled = one.is_settled or "settled" in told.message
                return True
            cut_off = told.status in CUT_OFF or told.message == SENDING
            assert cut_off, told
            return False
        finally:
            said.put_nowait(None)
            call.cancel()
        return True

    async def _messages(
        self, one: Taken, said: "asyncio.Queue[int | None]"
    ) -> AsyncIterator[pb.DeliverSubjectRecordsRequest]:
        yield pb.DeliverSubjectRecordsRequest(
            open=pb.BatchGetSubjectRecordsRequest(
                subjects=one.subjects, purpose=PURPOSE, request_id=one.request_id
            )
        )
        while (records := await said.get()) is not None:
            yield pb.DeliverSubjectRecordsRequest(
                acknowledgement=pb.DeliveryAcknowledgement(records=records)
            )
