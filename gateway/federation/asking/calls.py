"""Calling one region for a chunk: hedged, asked again where it broke, and verified.

Every call of one question has the same request id, so that the region charges it once however
often it is asked. The time a region has is counted while it is waited for, not while the
operator takes what came.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.transparency.linked import UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest, QueryRecordsResponse
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.answers import (
    Chunk,
    Metered,
    RegionKeys,
    require_reach,
    verified_before,
    verified_chunk,
)
from gateway.federation.asking.beginning import Answering, begun
from gateway.federation.asking.budget import Budget
from gateway.federation.asking.circuit import CLOSED, Circuit
from gateway.federation.asking.coming import Coming
from gateway.federation.asking.endings import (
    LATE,
    UNREACHABLE,
    UNVERIFIED,
    Ended,
    of_token,
)
from gateway.federation.asking.hedging import Hedging
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.ports import Witnesses
from gateway.federation.asking.tokens import NoToken, RegionTokens
from gateway.federation.trust.anew import Anew, as_before
from gateway.federation.trust.book import Region

_TELLING_SECONDS: Final = 3.0
"""That a region takes longer than it was given says something of it where it was given so long:
whoever wants to wait less does not keep others from it."""
_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.05
_MOST_CHUNK_BYTES: Final = 256 << 20
_END_SECONDS: Final = 0.05
"""For a call that has given what was asked for to end by itself."""
_log = logging.getLogger(__name__)


class Question(NamedTuple):
    """One question to one region.

    ``query`` is sent, but for which chunk is wanted; ``consent`` is the name that the region knows the
    consent of its receipt by, "" without; ``details`` narrow the token (RFC 9396).
    """

    region: Region
    query: QueryRecordsRequest
    consent: str
    details: dict[str, Any]


class Verified(NamedTuple):
    """A chunk that may be believed, with its parts in the region's very bytes."""

    chunk: Chunk
    parts: tuple[bytes, ...]


@dataclass
class _Known:
    """What this process has learnt of a region."""

    circuit: Circuit = CLOSED
    hedging: Hedging = field(default_factory=Hedging)


class RegionCalls:
    """Calls regions, and remembers how they answer; one event loop's own.

    ``now`` gives seconds UTC, ``monotonic`` seconds that never go back; ``anew`` a region as its
    chain has it by now.
    """

    def __init__(
        self,
        links: RegionLinks,
        tokens: RegionTokens,
        witnesses: Witnesses,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        anew: Anew = as_before,
    ) -> None:
        self._anew = anew
        self._links = links
        self._tokens = tokens
        self._witnesses = witnesses
        self._now = now
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    async def chunk(self, question: Question, first: int, budget: Budget) -> Verified:
        """Return the chunk of the region's answer that begins at the subject ``first``, verified.

        Nothing behind it is asked for. Raises Ended where it does not come.
        """
        known = self._known.setdefault(question.region.entity_id, _Known())
        if (wait := known.circuit.wait(self._monotonic())) is not None:
            raise Ended(UNREACHABLE, retry_after=wait)
        known.circuit = known.circuit.begun(self._monotonic())

        had_time = budget.seconds >= _TELLING_SECONDS

        def be_late() -> None:
            # Once, whenever its answer comes.
            if had_time:
                known.circuit = known.circuit.failed(self._monotonic())

        budget.when_late = be_late
        try:
            verified = await self._answer(question, first, budget, known)
        except Ended as ended:
            hurried = ended.outcome == LATE and not had_time
            if not (budget.late.is_set() or hurried or (ended.silent and budget.left)):
                known.circuit = (
                    known.circuit.failed(self._monotonic())
                    if ended.silent
                    else known.circuit.succeeded()
                )
            raise
        finally:
            known.circuit = known.circuit.undecided()
        if not budget.late.is_set():
            known.circuit = known.circuit.succeeded()
        return verified

    async def _answer(
        self, question: Question, first: int, budget: Budget, known: _Known
    ) -> Verified:
        keys = _keys(question.region)
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._once(question, keys, first, budget, known)
            except Ended as ended:
                pause = _pause(attempts, ended)
                if not ended.again or attempts >= _ATTEMPTS or budget.left:
                    raise
                if pause >= budget.seconds:
                    raise
                await budget.spent(asyncio.sleep(pause))

    async def _once(
        self,
        question: Question,
        keys: RegionKeys,
        first: int,
        budget: Budget,
        known: _Known,
    ) -> Verified:
        query = QueryRecordsRequest()
        query.CopyFrom(question.query)
        query.resume_from = first
        query.most_chunks = 1
        token = await budget.spent(self._token(question))
        try:
            channels = await self._links.channels(question.region)
            message = query.SerializeToString(deterministic=True)
            # From here on the region may meter it.
            budget.require()
            answering, part = await budget.spent(
                begun(channels, message, token, known.hedging, self._monotonic), asked=True
            )
        except OSError:
            raise Ended(UNREACHABLE) from None
        except Ended as ended:
            if ended.renew:
                self._tokens.forget(token)
            raise
        coming = Coming()
        try:
            while part is not None:
                budget.take(len(part))
                answer = _read(question.region, part)
                if answer.HasField("metered_before"):
                    coming.before = await self._before(question, query, keys, answer)
                else:
                    coming.take(part, answer)
                    if coming.size > _MOST_CHUNK_BYTES:
                        raise Ended(UNVERIFIED)
                    if answer.chunk.chunk_complete:
                        return await self._whole(question, query, keys, coming, answering)
                part = await budget.spent(answering.next(), asked=True)
            raise Ended(UNREACHABLE, again=True)
        except Ended as ended:
            ended.metered = coming.before
            raise
        finally:
            # An abandoned call would stay in flight (grpc #43462).
            answering.call.cancel()

    async def _whole(
        self,
        question: Question,
        query: QueryRecordsRequest,
        keys: RegionKeys,
        coming: Coming,
        answering: Answering,
    ) -> Verified:
        """Return the chunk that came whole, while the call ends by itself."""
        end = asyncio.ensure_future(answering.next())
        try:
            chunk = await self._verified(question, query, keys, coming)
            await asyncio.wait({end}, timeout=_END_SECONDS)
            return Verified(chunk, tuple(coming.parts))
        finally:
            end.cancel()
            await asyncio.gather(end, return_exceptions=True)

    async def _token(self, question: Question) -> str:
        try:
            return await self._tokens.exchanged(
                question.region, question.query.licence_credential, question.details
            )
        except NoToken as error:
            raise of_token(error) from None

    async def _before(
        self,
        question: Question,
        query: QueryRecordsRequest,
        keys: RegionKeys,
        answer: QueryRecordsResponse,
    ) -> Metered:
        told = answer.metered_before
        try:
            try:
                return verified_before(query, told, keys, self._now())
            except UnknownKey:
                after = await self._anew(question.region)
                if after is None:
                    raise
                return verified_before(query, told, RegionKeys.of_region(after), self._now())
        except ProofInvalid as error:
            raise _unproven(question.region, error) from None

    async def _verified(
        self,
        question: Question,
        query: QueryRecordsRequest,
        keys: RegionKeys,
        coming: Coming,
    ) -> Chunk:
        """Return the chunk, believed; by a key that the region is not known by, once its chain was
        looked at anew."""
        try:
            try:
                return await self._believed(question, query, keys, coming)
            except UnknownKey:
                after = await self._anew(question.region)
                if after is None:
                    raise
                known = question._replace(region=after)
                return await self._believed(known, query, RegionKeys.of_region(after), coming)
        except ProofInvalid as error:
            raise _unproven(question.region, error) from None
        except Refused as refused:
            # Too few cosignatures yet may be enough in a moment.
            passing = refused.retry_after is not None
            raise Ended(
                UNVERIFIED, refused.reason, again=passing, retry_after=refused.retry_after
            ) from None

    async def _believed(
        self,
        question: Question,
        query: QueryRecordsRequest,
        keys: RegionKeys,
        coming: Coming,
    ) -> Chunk:
        """Return the chunk. Raises ProofInvalid and Refused where it is not believed."""
        answers = coming.answers
        last = answers[-1]
        chunk = await asyncio.to_thread(
            verified_chunk,
            query,
            question.consent,
            answers,
            keys,
            query.resume_from,
            self._now(),
            coming.before,
        )
        require_reach(chunk.records, question.details["regions"])
        await self._witnesses.require_believed(
            question.region,
            chunk.checkpoint,
            last.cosigned_checkpoint,
            list(last.consistency_proof),
            chunk.note,
        )
        return chunk


def _read(region: Region, part: bytes) -> QueryRecordsResponse:
    """Return a message in its only form, so that what is passed on is what was verified."""
    try:
        return strictly(QueryRecordsResponse, part)
    except ProofInvalid as error:
        raise _unproven(region, error) from None


def _pause(attempts: int, ended: Ended) -> float:
    if ended.renew:
        return 0.0
    if ended.retry_after is not None:
        return ended.retry_after
    longest = _FIRST_PAUSE_SECONDS * 2**attempts
    # Apart, or all that broke at once would come again at once.
    return longest * (0.5 + secrets.randbelow(500) / 1_000)


def _keys(region: Region) -> RegionKeys:
    try:
        return RegionKeys.of_region(region)
    except ProofInvalid as error:
        raise _unproven(region, error) from None


def _unproven(region: Region, error: ProofInvalid) -> Ended:
    _log.error("an answer of %s is not believed: %s", region.entity_id, error)
    return Ended(UNVERIFIED, RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED)
