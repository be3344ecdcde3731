"""What a region charged, kept before anything of it is passed on (guarantee G5).

All that it charged is kept, whatever is passed on of it: so both ledgers have the same.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from consent.model import Consent
from consent.regions import SqlConsentRegions
from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage import CountedBy
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federation_service_pb2 import MeteredRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.asking.answers import Chunk, Metered
from gateway.federation.asking.asked import Asked
from gateway.federation.asking.believing import unproven
from gateway.federation.asking.replays import Again, ChunkKey, RegionReplays
from gateway.federation.asking.routing import Plan
from gateway.federation.asking.use_store import RegionUses, ToKeep
from gateway.federation.asking.uses import NOT_PASSED_ON, RegionAnswer, RegionUse
from gateway.storage.together import Together

_RECORD: Final = "records/"
_log = logging.getLogger(__name__)


class Charged(NamedTuple):
    """Whose question a region charged: what was asked, as planned for the region, and the id that
    it knows the question by."""

    asked: Asked
    plan: Plan
    request_id: str

    def chunk(self, first: int) -> ChunkKey:
        """Return what the chunk that begins at the subject ``first`` is kept by."""
        use, allow = self.asked.use, self.asked.decided.passage.allow
        return ChunkKey(allow.operator_id, use.request_id, self.plan.region, first)


class _Said(NamedTuple):
    """What a region said of a chunk: the use it charged, its receipt and decision; the subjects it
    covers, none where nothing came; and the note it was proved against, "" then."""

    leaf: UsageLeaf
    usage: UsageReceipt
    decision_id: str
    first: int
    subject_count: int
    note: str

    @classmethod
    def of(cls, chunk: Chunk) -> "_Said":
        receipt = chunk.receipt
        return cls(
            chunk.leaf,
            receipt.usage,
            receipt.decision_id,
            chunk.first,
            chunk.subject_count,
            chunk.note,
        )


class Keeping:
    """Keeps what regions charged; one event loop's own.

    Every method raises Refused TEMPORARILY_UNAVAILABLE where it cannot be kept, and Ended
    UNVERIFIED for a chunk that was kept as another: nothing may be passed on then.
    """

    def __init__(
        self,
        uses: RegionUses,
        replays: RegionReplays,
        regions: SqlConsentRegions,
        clock: Clock,
    ) -> None:
        self._together = Together[ToKeep, bool]("region-uses", uses.keep_all)
        self._noted = Together[Again, None]("region-replays", replays.note_all)
        self._regions = regions
        self._clock = clock

    async def close(self) -> None:
        """Wait for what is being kept."""
        await self._together.close()
        await self._noted.close()

    async def asking(self, consent: Consent, region: str) -> None:
        """Keep that a region is asked under a consent: it waits for a word of what it serves,
        whether that comes here or not."""
        now = self._clock.now()
        await self._durably(
            asyncio.to_thread(self._regions.asking, consent.consent_id, region, now)
        )

    async def given(
        self,
        charged: Charged,
        chunk: Chunk,
        uses: Sequence[RegionUse],
        consent: Consent | None = None,
    ) -> None:
        """Keep a chunk whose records are passed on, as ``uses``; ``consent`` is the one it was
        decided by.

        Raises Changed where that is another by now, and Refused where it lets nothing be given
        (again): see `gateway.federation.asking.use_store.RegionUses.keep`.
        """
        kept = [*uses, *_gone(chunk.gone, chunk.prices)]
        try:
            await self._keep(charged, _Said.of(chunk), kept, consent)
        except Refused as refused:
            if refused.reason != RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE:
                # The region charged it all the same.
                await self.withheld(charged, chunk)
            raise

    async def given_again(self, charged: Charged, first: int, uses: Iterable[RegionUse]) -> None:
        """Count that a retry is given ``uses`` of the chunk that begins at the subject ``first``
        once more."""
        records = frozenset(use.key for use in uses)
        again = Again(charged.chunk(first), records, self._clock.now())
        await self._durably(self._noted.written(again))

    async def withheld(self, charged: Charged, chunk: Chunk) -> None:
        """Keep a chunk that may not be passed on any more."""
        kept = [
            *_gone(chunk.records, chunk.prices, withheld=True),
            *_gone(chunk.gone, chunk.prices),
        ]
        await self._keep(charged, _Said.of(chunk), kept)

    async def lost(self, charged: Charged, metered: Metered, first: int, *, withheld: bool) -> None:
        """Keep what was charged for the chunk that begins at the subject ``first`` and never came;
        ``withheld`` tells that this region had ended what it was asked for by."""
        said = _Said(metered.leaf, metered.usage, metered.leaf.decision_id, first, 0, "")
        uses = _gone(metered.records, metered.prices, withheld=withheld)
        await self._keep(charged, said, list(uses))

    async def _keep(
        self,
        charged: Charged,
        said: _Said,
        uses: Sequence[RegionUse],
        consent: Consent | None = None,
    ) -> None:
        asked, plan, request_id = charged
        allow = asked.decided.passage.allow
        answer = RegionAnswer(
            operator_id=allow.operator_id,
            request_id=asked.use.request_id,
            region=plan.region,
            first_subject=said.first,
            region_request_id=request_id,
            client_id=asked.use.ask.client_id,
            licence=allow.licence,
            purpose=asked.use.purpose,
            consent=asked.use.consent,
            decision_id=asked.admitted.decision_id,
            region_decision=said.decision_id,
            mapping_version=plan.translation.version,
            subject_count=said.subject_count,
            records=sum(use.passed_on for use in uses),
            served_at=said.leaf.serve_seconds,
            recorded_at=self._clock.now(),
            region_fee=said.leaf.fee_micro_yuan,
            own_fee=sum(use.own_fee for use in uses),
            receipt=said.usage.SerializeToString(deterministic=True),
            checkpoint=said.note,
            opened=sum(bool(use.opened) for use in uses),
        )
        try:
            await self._durably(self._together.written(ToKeep(answer, uses, consent)))
        except ProofInvalid as error:
            raise unproven(plan.region, error) from None

    async def _durably(self, keeping: Awaitable[object]) -> None:
        try:
            await keeping
        except SQLAlchemyError as error:
            _log.error("a use of another region could not be kept: %s", failure_kind(error))
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The use could not be kept, so it is not passed on; try again with the same"
                " request_id.",
                retry_after=1,
            ) from None


def _gone(
    records: Iterable[MeteredRecord | DisclosedRecord],
    prices: Mapping[CountedBy, int],
    *,
    withheld: bool = False,
) -> Iterable[RegionUse]:
    """Yield records that a region charged and that are not passed on: nobody is charged for them
    here, and whom they are about is not kept. ``withheld`` as `RegionUse` has it."""
    for record in records:
        yield RegionUse(
            record_id=record.name.removeprefix(_RECORD),
            revision=record.revision,
            subject=NOT_PASSED_ON,
            item=record.item,
            own_item="",
            source=record.source,
            region_code=record.region,
            fee=prices[CountedBy(record.item, record.source, record.region)],
            own_fee=0,
            withheld=withheld,
        )
