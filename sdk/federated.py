"""Other regions asked through one's own gateway: what each answered, and how each ended.

The gateway has verified every part before it passed it on. Who pins the keys of the regions'
disclosure logs can verify them again, from the very bytes: `RegionAnswer.verify`.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from creditgate.transparency.completeness import ProvedSubject
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import verify_complete
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federated_record_service_pb2 import (
    NotAskedReason,
    QueryRegionsRequest,
    QueryRegionsResponse,
    RegionClosing,
    RegionOutcome,
    RegionPart,
    RegionPlan,
)
from creditgate.v1.federated_record_service_pb2_grpc import FederatedRecordServiceStub

_WHOLE: Final = frozenset(
    {RegionOutcome.REGION_OUTCOME_ANSWERED, RegionOutcome.REGION_OUTCOME_EMPTY}
)
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
        """Whether the region answered for every subject it was asked about."""
        return self.closing is not None and self.closing.outcome in _WHOLE

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

    @property
    def decision(self) -> str:
        """The decision behind the question, "decisions/{id}"; "" before a region has ended."""
        closings = (each.closing for each in self.regions.values())
        return next((closing.decision for closing in closings if closing is not None), "")

    @property
    def unanswered(self) -> Mapping[str, RegionClosing]:
        """The regions that may hold more than was answered, and how each ended: those that did
        not answer whole, and those that were not asked for another reason than that they hold
        nothing."""
        return {
            region: each.closing
            for region, each in self.regions.items()
            if each.closing is not None
            and not each.whole
            and each.closing.not_asked not in _SETTLED
        }

    def take(self, step: QueryRegionsResponse) -> None:
        """Take the next step of the answer."""
        match step.WhichOneof("step"):
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


async def ask_regions(channel: grpc.aio.Channel, request: QueryRegionsRequest) -> FederatedAnswer:
    """Return what came of all regions, once the last has ended. Raises as `query_regions`."""
    answer = FederatedAnswer()
    async with aclosing(query_regions(channel, request)) as steps:
        async for step in steps:
            answer.take(step)
    return answer


def _proved(parts: Sequence[RegionPart], key: VerifierKey) -> tuple[ProvedSubject, ...]:
    last = parts[-1].answer.chunk
    records = [record for part in parts for record in part.answer.chunk.records]
    _, proved = verify_complete(records, last.proof, key, last.receipt.serve_time.seconds)
    return proved
