"""Whether what a region answered is believed: by its keys, its witnesses, and what it was asked."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from creditgate.refusal import Refused
from creditgate.transparency.linked import UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.v1.federation_service_pb2 import (
    MeteredBefore,
    QueryRecordsRequest,
    QueryRecordsResponse,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.answers import (
    Chunk,
    Metered,
    NeverAsked,
    RegionKeys,
    require_fields,
    require_reach,
    verified_before,
    verified_chunk,
)
from gateway.federation.asking.coming import Coming
from gateway.federation.asking.endings import UNVERIFIED, Ended
from gateway.federation.asking.ports import Witnesses
from gateway.federation.asking.sending import Attempts
from gateway.federation.asking.sent import SentPlan
from gateway.federation.trust.anew import Anew
from gateway.federation.trust.book import Region

_log = logging.getLogger(__name__)


class Question(NamedTuple):
    """One question to one region.

    ``query`` is sent, but for which chunk is wanted; ``consent`` is the name that the region knows the
    consent of its receipt by, "" without; ``details`` narrow the token (RFC 9396); ``sent`` is how
    it is kept; ``fields`` are those that the consent opens of each item there that is had under it.
    """

    region: Region
    query: QueryRecordsRequest
    consent: str
    details: dict[str, Any]
    sent: SentPlan
    fields: Mapping[str, frozenset[str]]


class Believing:
    """Believes chunks of regions, or not; one event loop's own.

    ``now`` gives seconds UTC, ``anew`` a region as its chain has it by now. Every method raises
    Ended UNVERIFIED for what is not believed.
    """

    def __init__(self, witnesses: Witnesses, now: Callable[[], int], anew: Anew) -> None:
        self._witnesses = witnesses
        self._now = now
        self._anew = anew

    async def before(
        self,
        question: Question,
        query: QueryRecordsRequest,
        coming: Coming,
        attempts: Attempts,
        told: MeteredBefore,
    ) -> Metered:
        """Return what a region tells that it charged for the chunk that ``query`` asks for.

        Where it tells of what nobody had asked for, no word of it on what it charged under that id
        is believed any more.
        """
        number = coming.number
        try:
            attempts.require_believed()
            try:
                keys = RegionKeys.of_region(question.region)
                metered = verified_before(query, told, keys, number, self._now(), attempts.since)
            except UnknownKey:
                after = await self._anew(question.region)
                if after is None:
                    raise
                keys = RegionKeys.of_region(after)
                metered = verified_before(query, told, keys, number, self._now(), attempts.since)
            if not coming.asked_before:
                # Before, it may have been asked for more than may be had now.
                require_reach(metered.records, question.details["regions"])
        except ProofInvalid as error:
            if isinstance(error, NeverAsked):
                await attempts.disbelieve()
            raise unproven(question.region.entity_id, error) from None
        return metered

    async def require_asked_before(
        self, question: Question, attempts: Attempts, coming: Coming
    ) -> None:
        """Require that a chunk was asked for before, where its region told that it charged it then.

        Else no word of it on what it charged under that id is believed any more.
        """
        if coming.before is not None and not coming.asked_before:
            await attempts.disbelieve()
            never = ProofInvalid("it tells what it charged before for what nobody had asked for")
            raise unproven(question.region.entity_id, never)

    async def chunk(self, question: Question, query: QueryRecordsRequest, coming: Coming) -> Chunk:
        """Return the chunk that came, believed; by a key that the region is not known by, once its
        chain was looked at anew."""
        try:
            try:
                return await self._believed(question, query, coming)
            except UnknownKey:
                after = await self._anew(question.region)
                if after is None:
                    raise
                return await self._believed(question._replace(region=after), query, coming)
        except ProofInvalid as error:
            raise unproven(question.region.entity_id, error) from None
        except Refused as refused:
            # Too few cosignatures yet may be enough in a moment.
            passing = refused.retry_after is not None
            raise Ended(
                UNVERIFIED, refused.reason, again=passing, retry_after=refused.retry_after
            ) from None

    async def _believed(
        self, question: Question, query: QueryRecordsRequest, coming: Coming
    ) -> Chunk:
        """Return the chunk. Raises ProofInvalid and Refused where it is not believed."""
        answers = coming.answers
        last = answers[-1]
        chunk = await asyncio.to_thread(
            verified_chunk,
            query,
            question.consent,
            answers,
            RegionKeys.of_region(question.region),
            coming.number,
            self._now(),
            coming.before,
        )
        require_reach(chunk.records, question.details["regions"])
        require_fields(chunk.records, question.fields)
        await self._witnesses.require_believed(
            question.region,
            chunk.checkpoint,
            last.cosigned_checkpoint,
            list(last.consistency_proof),
            chunk.note,
        )
        return chunk


def require_keys(region: Region) -> None:
    """Raise Ended UNVERIFIED for a region whose keys are not known: what cannot be verified is not
    asked for."""
    try:
        RegionKeys.of_region(region)
    except ProofInvalid as error:
        raise unproven(region.entity_id, error) from None


def read(region: Region, part: bytes) -> QueryRecordsResponse:
    """Return a message in its only form, so that what is passed on is what was verified.

    Raises Ended UNVERIFIED for any other.
    """
    try:
        return strictly(QueryRecordsResponse, part)
    except ProofInvalid as error:
        raise unproven(region.entity_id, error) from None


def unproven(region: str, error: ProofInvalid) -> Ended:
    """Return how a question to a region (its entity identifier) ended that was answered by what
    does not prove it."""
    _log.error("an answer of %s is not believed: %s", region, error)
    return Ended(UNVERIFIED, RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED)
