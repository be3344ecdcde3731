"""Calling one region: hedged, taken up again where it broke, and verified chunk by chunk.

Every call of one question has the same request id, so that the region charges it once however
often it is asked. The time a region has is counted while it is waited for, not while the
operator takes what came.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest, QueryRecordsResponse
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.answers import (
    Chunk,
    Metered,
    RegionKeys,
    verified_before,
    verified_chunk,
)
from gateway.federation.asking.beginning import begun
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
from gateway.federation.trust.book import Region

_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.05
_MOST_CHUNK_BYTES: Final = 256 << 20
_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class Question(NamedTuple):
    """One question to one region.

    ``query`` is sent, but for ``resume_from``; ``consent`` is the name that the region knows the
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
class Budget:
    """The seconds a region has left; spent only by waiting for it."""

    seconds: float
    _monotonic: Callable[[], float] = field(default=time.monotonic)

    async def spent(self, waiting: Awaitable[_Value]) -> _Value:
        """Return what is waited for. Raises Ended LATE when the time is over."""
        started = self._monotonic()
        try:
            async with asyncio.timeout(max(0.0, self.seconds)):
                return await waiting
        except TimeoutError:
            raise Ended(LATE) from None
        finally:
            self.seconds -= self._monotonic() - started


@dataclass
class _Known:
    """What this process has learnt of a region."""

    circuit: Circuit = CLOSED
    hedging: Hedging = field(default_factory=Hedging)


class RegionCalls:
    """Calls regions, and remembers how they answer; one event loop's own.

    ``now`` gives seconds UTC, ``monotonic`` seconds that never go back.
    """

    def __init__(
        self,
        links: RegionLinks,
        tokens: RegionTokens,
        witnesses: Witnesses,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._links = links
        self._tokens = tokens
        self._witnesses = witnesses
        self._now = now
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    async def chunks(self, question: Question, budget: Budget) -> AsyncGenerator[Verified]:
        """Yield the chunks of the region's answer, each verified, in order and to the last.

        Raises Ended where the answer ends before.
        """
        known = self._known.setdefault(question.region.entity_id, _Known())
        if (wait := known.circuit.wait(self._monotonic())) is not None:
            raise Ended(UNREACHABLE, retry_after=wait)
        known.circuit = known.circuit.begun(self._monotonic())
        try:
            async for verified in self._answer(question, budget, known):
                known.circuit = known.circuit.succeeded()
                yield verified
        except Ended as ended:
            now = self._monotonic()
            known.circuit = known.circuit.failed(now) if ended.silent else known.circuit.succeeded()
            raise
        finally:
            known.circuit = known.circuit.undecided()

    async def _answer(
        self, question: Question, budget: Budget, known: _Known
    ) -> AsyncGenerator[Verified]:
        keys = _keys(question.region)
        answered, attempts = 0, 0
        while answered < len(question.query.subjects):
            attempts += 1
            before = answered
            try:
                async for verified in self._once(question, keys, answered, budget, known):
                    answered = verified.chunk.first + verified.chunk.subject_count
                    yield verified
                if answered < len(question.query.subjects):
                    raise Ended(UNREACHABLE, again=True)
            except Ended as ended:
                # What brought the answer on was no vain attempt.
                attempts = 0 if answered > before else attempts
                if not ended.again or attempts >= _ATTEMPTS:
                    raise
                pause = _pause(attempts, ended)
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
    ) -> AsyncGenerator[Verified]:
        query = QueryRecordsRequest()
        query.CopyFrom(question.query)
        query.resume_from = first
        token = await budget.spent(self._token(question))
        try:
            channels = await self._links.channels(question.region)
            message = query.SerializeToString(deterministic=True)
            answering, part = await budget.spent(
                begun(channels, message, token, known.hedging, self._monotonic)
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
                answer = _read(question.region, part)
                if answer.HasField("metered_before"):
                    coming.before = self._before(question, query, keys, answer)
                else:
                    coming.take(part, answer)
                    if coming.size > _MOST_CHUNK_BYTES:
                        raise Ended(UNVERIFIED)
                    if answer.chunk.chunk_complete:
                        chunk = await self._verified(question, query, keys, coming, first)
                        first = chunk.first + chunk.subject_count
                        yield Verified(chunk, tuple(coming.parts))
                        coming = Coming()
                part = await budget.spent(answering.next())
            if coming.before is not None:
                raise Ended(UNREACHABLE, again=True)
        except Ended as ended:
            ended.metered = coming.before
            raise
        finally:
            # An abandoned call would stay in flight (grpc #43462).
            answering.call.cancel()

    async def _token(self, question: Question) -> str:
        try:
            return await self._tokens.exchanged(
                question.region, question.query.licence_credential, question.details
            )
        except NoToken as error:
            raise of_token(error) from None

    def _before(
        self,
        question: Question,
        query: QueryRecordsRequest,
        keys: RegionKeys,
        answer: QueryRecordsResponse,
    ) -> Metered:
        try:
            return verified_before(query, answer.metered_before, keys, self._now())
        except ProofInvalid as error:
            raise _unproven(question.region, error) from None

    async def _verified(
        self,
        question: Question,
        query: QueryRecordsRequest,
        keys: RegionKeys,
        coming: Coming,
        first: int,
    ) -> Chunk:
        """Return the chunk that came whole."""
        try:
            answers = coming.answers
            last = answers[-1]
            chunk = await asyncio.to_thread(
                verified_chunk,
                query,
                question.consent,
                answers,
                keys,
                first,
                self._now(),
                coming.before,
            )
            await self._witnesses.require_believed(
                question.region,
                chunk.checkpoint,
                last.cosigned_checkpoint,
                list(last.consistency_proof),
                chunk.note,
            )
        except ProofInvalid as error:
            raise _unproven(question.region, error) from None
        except Refused as refused:
            # Too few cosignatures yet may be enough in a moment.
            passing = refused.retry_after is not None
            raise Ended(
                UNVERIFIED, refused.reason, again=passing, retry_after=refused.retry_after
            ) from None
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
        return RegionKeys.of({str(name): key for name, key in region.log_keys.items()})
    except ProofInvalid as error:
        raise _unproven(region, error) from None


def _unproven(region: Region, error: ProofInvalid) -> Ended:
    _log.error("an answer of %s is not believed: %s", region.entity_id, error)
    return Ended(UNVERIFIED, RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED)
