"""Clients that use a gateway as badly as they may: cut off, again, at once, and by ids used before.

What they are told is held against a model that knows nothing of ledgers: how many records each
subject has, and that a chunk of a request is charged once.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc

from creditgate.v1 import credit_record_service_pb2 as pb
from sdk.refusals import explain
from sdk.usage_book import UsageBook
from tests.installation import PRICE, PURPOSE, company
from tests.stepping import SteppedClock

if TYPE_CHECKING:
    from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceAsyncStub

CHUNK = 2
MOST_AHEAD = 20
# What a killed process, one that comes up again, and a token of another time give.
CUT_OFF = {"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN", "UNAUTHENTICATED"}
SUBJECTS = [company(number) for number in range(12)]
RECORDS = {subject: number % 4 for number, subject in enumerate(SUBJECTS)}


@dataclass
class Ask:
    """A request, the same however often it is made; ``got`` are the chunks answered so far."""

    subjects: list[str]
    request_id: str = field(default_factory=lambda: uuid4().hex)
    got: dict[int, bytes] = field(default_factory=dict)
    charged: dict[int, int] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        """Of how many chunks its answer is: a unary one is the first alone."""
        return -(-len(self.subjects) // CHUNK)

    def due(self, chunk: int) -> int:
        """Return how many records a chunk has, by what was published."""
        return sum(RECORDS[each] for each in self.subjects[CHUNK * chunk : CHUNK * (chunk + 1)])

    def heard(self, chunk: int, records: int, receipt: pb.Receipt) -> None:
        """Take note of an answer: it has the records, and every retry the first one's receipt."""
        assert records == self.due(chunk)
        leaf = receipt.usage.leaf
        assert self.got.setdefault(chunk, leaf) == leaf, "a retry has the receipt of another use"
        if receipt.replayed:
            assert (receipt.charged_entries, receipt.charged_micro_yuan) == (0, 0)
        else:
            assert receipt.charged_micro_yuan == PRICE * records
            self.charged[chunk] = self.charged.get(chunk, 0) + 1
            assert self.charged[chunk] == 1, "a use was charged twice"


@dataclass
class Load:
    """What clients ask, and what they were told."""

    chance: random.Random
    book: UsageBook
    clock: SteppedClock
    asks: list[Ask] = field(default_factory=list)
    reused: int = 0
    again: int = 0
    over: bool = False

    @property
    def open(self) -> list[Ask]:
        """What has yet to be answered as a whole."""
        return [each for each in self.asks if len(each.got) < each.chunks]

    def next_ask(self) -> Ask:
        """Return a new request, one that was cut off, or one answered before."""
        left = self.open
        if left and self.chance.random() < 0.4:
            return self.chance.choice(left)
        if self.asks and self.chance.random() < 0.3:
            self.again += 1
            return self.chance.choice(self.asks)
        size = self.chance.choice((1, 1, 1, 2, 5, 7))
        made = Ask(self.chance.sample(SUBJECTS, size))
        self.asks.append(made)
        return made

    @property
    def leaves(self) -> list[bytes]:
        """The leaves of all that was answered."""
        return [leaf for ask in self.asks for leaf in ask.got.values()]

    async def ask(self, stubs: Sequence["CreditRecordServiceAsyncStub"]) -> None:
        """Ask until all processes are gone, each request once, twice or three times at once."""
        while not self.over:
            ask = self.next_ask()
            at_once = self.chance.choice((1, 1, 2, 3))
            chosen = [self.chance.choice(stubs) for _ in range(at_once)]
            answered = await asyncio.gather(*(self.made(stub, ask) for stub in chosen))
            if self.chance.random() < 0.1:
                await self._misuse(chosen[0], ask)
            if not any(answered):
                await asyncio.sleep(0.01)

    async def step(self) -> None:
        """Step the clocks to and fro, never behind the right time."""
        while not self.over:
            self.clock.step_to(self.chance.randrange(MOST_AHEAD))
            await asyncio.sleep(0.02)

    async def made(self, stub: "CreditRecordServiceAsyncStub", ask: Ask) -> bool:
        """Make a request; tell whether it was answered."""
        try:
            if len(ask.subjects) == 1:
                answer = await stub.GetSubjectRecords(
                    pb.GetSubjectRecordsRequest(
                        subject=ask.subjects[0], purpose=PURPOSE, request_id=ask.request_id
                    ),
                    timeout=10,
                )
                self._kept(ask, 0, answer)
            else:
                await self._batch(stub, ask)
        except grpc.aio.AioRpcError as error:
            assert explain(error).status in CUT_OFF, explain(error)
            return False
        return True

    async def _batch(self, stub: "CreditRecordServiceAsyncStub", ask: Ask) -> None:
        # From the first chunk that is missing, or all again.
        missing = min(set(range(ask.chunks)) - ask.got.keys(), default=0)
        stream = stub.BatchGetSubjectRecords(
            pb.BatchGetSubjectRecordsRequest(
                subjects=ask.subjects,
                purpose=PURPOSE,
                request_id=ask.request_id,
                resume_from=CHUNK * self.chance.choice((0, missing)),
            ),
            timeout=10,
        )
        async for part in stream:
            self._kept(ask, part.first_subject // CHUNK, part)

    def _kept(
        self,
        ask: Ask,
        chunk: int,
        answer: pb.GetSubjectRecordsResponse | pb.BatchGetSubjectRecordsResponse,
    ) -> None:
        self.book.keep(answer)
        ask.heard(chunk, len(answer.records), answer.receipt)

    async def _misuse(self, stub: "CreditRecordServiceAsyncStub", ask: Ask) -> None:
        """Make another request by the same id: refused wherever the first was charged."""
        if not ask.got:
            return
        other = next(each for each in SUBJECTS if each not in ask.subjects)
        request = pb.GetSubjectRecordsRequest(
            subject=other, purpose=PURPOSE, request_id=ask.request_id
        )
        try:
            await stub.GetSubjectRecords(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            told = explain(error)
            self.reused += told.reason == "REQUEST_ID_REUSED"
            assert told.reason == "REQUEST_ID_REUSED" or told.status in CUT_OFF, told
        else:
            raise AssertionError("another payload was answered by the same request id")
