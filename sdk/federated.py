"""Other regions asked through one's own gateway: what each answered, and how each ended.

The gateway has verified every part before it passed it on. Who pins the keys of the regions'
disclosure logs can verify them again, from the very bytes: `RegionAnswer.verify`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from creditgate.transparency.completeness import ProvedSubject
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import verify_complete
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federated_record_service_pb2 import (
    NotAskedReason,
    QueryRegionsRequest,
    QueryRegionsResponse,
    RegionClosing,
    RegionHeard,
    RegionOutcome,
    RegionPart,
    RegionPlan,
    WatchRegionRecordsRequest,
    WatchRegionRecordsResponse,
)
from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub
from sdk.following import Following
from sdk.region_receipts import RegionReceipts
from sdk.usage import keeping

_WHOLE: Final = frozenset(
    {RegionOutcome.REGION_OUTCOME_ANSWERED, RegionOutcome.REGION_OUTCOME_EMPTY}
)
_SILENCE_SECONDS: Final = 15.0
_SETTLED: Final = frozenset({NotAskedReason.NOT_ASKED_REASON_NO_SUBJECT})


class AnswerBroken(ConnectionError):
    """The stream ended before every region was accounted for: ask again with the same
    request_id, which charges nothing more."""


@dataclass
class RegionAnswer:
    """What came of one region.

    ``records`` go by item of one's own gateway; ``parts`` are as they came.
    """

    plan: RegionPlan
    closing: RegionClosing | None = None
    parts: list[RegionPart] = field(default_factory=list[RegionPart])

    @property
    def whole(self) -> bool:
        """Whether the region answered for every subject it was asked about, and proves that it has
        no more."""
        closing = self.closing
        return closing is not None and closing.outcome in _WHOLE and closing.complete

    @property
    def records(self) -> list[tuple[str, DisclosedRecord]]:
        """Every record, with the item of one's own gateway that it stands for."""
        return [
            (item, record)
            for part in self.parts
            for item, record in zip(part.items, part.answer.chunk.records, strict=True)
        ]

    def verify(self, subjects: Sequence[str], key: VerifierKey) -> list[ProvedSubject]:
        """Return what is proved of the subjects answered for, by the pinned ``key`` of the
        region's disclosure log; ``subjects`` are those of the request. Raises ProofInvalid."""
        proved: list[ProvedSubject] = []
        chunk: list[RegionPart] = []
        for part in self.parts:
            chunk.append(part)
            if part.answer.chunk.chunk_complete:
                proved += _proved(chunk, key)
                chunk = []
        asked = [subjects[index] for index in self.plan.subjects]
        if chunk or [each.subject for each in proved] != asked[: len(proved)]:
            raise ProofInvalid("the subjects proved are not those asked about")
        return proved


@dataclass
class FederatedAnswer:
    """What came of all regions, by entity identifier, in the order of their plans."""

    regions: dict[str, RegionAnswer] = field(default_factory=dict[str, RegionAnswer])
    question: Receipt = field(default_factory=Receipt)
    """One's own gateway's receipt of the question, which is a use without a fee."""

    @property
    def decision(self) -> str:
        """The decision behind the question, "decisions/{id}"; "" before a region has ended."""
        closings = (each.closing for each in self.regions.values())
        return next((closing.decision for closing in closings if closing is not None), "")

    @property
    def unanswered(self) -> Mapping[str, RegionClosing]:
        """The regions that may hold more than was answered, and how each ended: those that did
        not answer whole, or not provably so, and those that were not asked for another reason than
        that they say themselves that they hold nothing (`on_their_word`)."""
        return {
            region: each.closing
            for region, each in self.regions.items()
            if each.closing is not None
            and not each.whole
            and each.closing.not_asked not in _SETTLED
        }

    @property
    def on_their_word(self) -> Mapping[str, RegionPlan]:
        """The regions that were not asked about some subjects, or any, because their directory denies
        them: it is signed, and proves nothing. Whoever has to know asks with ``every_region``, under
        another request_id."""
        return {
            region: each.plan
            for region, each in self.regions.items()
            if each.plan.HasField("directory_time")
        }

    def take(self, step: QueryRegionsResponse) -> None:
        """Take the next step of the answer."""
        match step.WhichOneof("step"):
            case "question":
                self.question.CopyFrom(step.question)
            case "plan":
                self.regions[step.plan.region] = RegionAnswer(step.plan)
            case "part":
                self.regions[step.part.region].parts.append(step.part)
            case "closing":
                self.regions[step.closing.region].closing = step.closing
            case _:
                # A newer gateway's.
                pass


async def query_regions(
    channel: grpc.aio.Channel, request: QueryRegionsRequest
) -> AsyncGenerator[QueryRegionsResponse]:
    """Yield every step of the answer as it comes.

    Leave it by ``contextlib.aclosing``. Raises grpc.RpcError where the whole question is
    refused, AnswerBroken where a region is left without its closing statement.
    """
    stub: Any = FederatedRecordServiceStub(channel)
    call = stub.QueryRegions(request)
    open_: set[str] = set()
    try:
        async for step in call:
            if step.HasField("plan"):
                open_.add(step.plan.region)
            elif step.HasField("closing"):
                open_.discard(step.closing.region)
            yield step
    finally:
        call.cancel()
    if open_:
        raise AnswerBroken(f"{len(open_)} regions were not accounted for; ask again")


async def ask_regions(
    channel: grpc.aio.Channel,
    request: QueryRegionsRequest,
    receipts: RegionReceipts | None = None,
) -> FederatedAnswer:
    """Return what came of all regions, once the last has ended.

    ``receipts`` keeps the receipts of the use in a book, as they come: whoever keeps a book gives
    one. Raises as `query_regions`, and ProofInvalid for a receipt that is not of what came.
    """
    answer = FederatedAnswer()
    async with aclosing(query_regions(channel, request)) as steps:
        async for step in steps:
            if receipts is not None and (keep := receipts.taken(step)) is not None:
                await keeping(channel, receipts.book, keep)
            answer.take(step)
    return answer


def follow_region_records(
    channel: grpc.aio.Channel,
    after: int = 0,
    *,
    heard: Callable[[Sequence[RegionHeard]], None] = lambda _: None,
    pause_seconds: float = 1.0,
) -> AsyncGenerator[WatchRegionRecordsResponse]:
    """Yield what became of records that other regions gave, behind number ``after``, for ever.

    Keep ``event.number`` once an event is dealt with, and begin there the next time: none is then
    missed. ``heard`` is told, every few seconds, how far the events of each region are known,
    once the events before were taken: where a region is not known, the copies of its records may
    be void already. A connection that breaks or falls silent is made anew, ``pause_seconds``
    before the first attempt, twice as many before each further one. Leave it by
    ``contextlib.aclosing``. Raises grpc.RpcError for a refusal that waiting does not mend.
    """
    stub: Any = FederatedRecordServiceStub(channel)
    return Following[WatchRegionRecordsResponse](
        name="records of other regions",
        watch=lambda number: stub.WatchRegionRecords(
            WatchRegionRecordsRequest(after_number=number)
        ),
        position=lambda answer: answer.event.number,
        silence_seconds=_SILENCE_SECONDS,
        pause_seconds=pause_seconds,
        alive=lambda answer: heard(tuple(answer.regions)),
    ).after(after)


def _proved(parts: Sequence[RegionPart], key: VerifierKey) -> tuple[ProvedSubject, ...]:
    last = parts[-1].answer.chunk
    if not last.proof.HasField("map_head"):
        raise ProofInvalid("each record is proved, and not that these are all there are")
    records = [record for part in parts for record in part.answer.chunk.records]
    _, proved = verify_complete(records, last.proof, key, last.receipt.serve_time.seconds)
    return proved
