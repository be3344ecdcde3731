"""Calling one region for a chunk: hedged, asked again where it broke, and verified.

Every call of one question has the same request id, so that the region charges it once however
often it is asked. The time a region has is counted while it is waited for, not while the
operator takes what came.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from creditgate.v1.federation_service_pb2 import QueryRecordsRequest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking.answers import Chunk, Place
from gateway.federation.asking.beginning import Answering, begun
from gateway.federation.asking.believing import Believing, Question, read, require_keys
from gateway.federation.asking.budget import Budget
from gateway.federation.asking.circuit import CLOSED, Circuit
from gateway.federation.asking.coming import Coming
from gateway.federation.asking.endings import (
    LATE,
    REFUSED,
    UNREACHABLE,
    UNVERIFIED,
    Ended,
    of_token,
)
from gateway.federation.asking.hedging import Hedging
from gateway.federation.asking.links import RegionLinks
from gateway.federation.asking.sending import Attempts, Sending
from gateway.federation.asking.sent import Asking
from gateway.federation.asking.tokens import NoToken, RegionTokens

_TELLING_SECONDS: Final = 3.0
"""That a region takes longer than it was given says something of it where it was given so long:
whoever wants to wait less does not keep others from it."""
_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.05
_MOST_CHUNK_BYTES: Final = 256 << 20
_END_SECONDS: Final = 0.05
"""For a call that has given what was asked for to end by itself."""


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

    ``monotonic`` gives seconds that never go back.
    """

    def __init__(
        self,
        links: RegionLinks,
        tokens: RegionTokens,
        believing: Believing,
        sending: Sending,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._links = links
        self._tokens = tokens
        self._believing = believing
        self._sending = sending
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    async def chunk(self, question: Question, place: Place, budget: Budget) -> Verified:
        """Return the chunk at a place of the region's answer, verified.

        Nothing behind it is asked for. Raises Ended where it does not come, and Refused where it
        cannot be kept that it is asked for.
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
            verified = await self._answer(question, place, budget, known)
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
        self, question: Question, place: Place, budget: Budget, known: _Known
    ) -> Verified:
        require_keys(question.region)
        attempts = Attempts(self._sending, Asking(question.sent, place.first))
        number = 0
        while True:
            number += 1
            try:
                return await self._once(question, attempts, place, budget, known)
            except Ended as ended:
                pause = _pause(number, ended)
                if not ended.again or number >= _ATTEMPTS or budget.left:
                    raise
                if pause >= budget.seconds:
                    raise
                await budget.spent(asyncio.sleep(pause))

    async def _once(
        self,
        question: Question,
        attempts: Attempts,
        place: Place,
        budget: Budget,
        known: _Known,
    ) -> Verified:
        query = QueryRecordsRequest()
        query.CopyFrom(question.query)
        query.resume_from = place.first
        query.most_chunks = 1
        token = await budget.spent(self._token(question))
        try:
            channels = await self._links.channels(question.region)
            message = query.SerializeToString(deterministic=True)
            budget.require()
            await budget.spent(attempts.begin())
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
        coming = Coming(place.number, attempts.asked_before(twice=answering.twice))
        try:
            while part is not None:
                budget.take(len(part))
                answer = read(question.region, part)
                if answer.HasField("metered_before"):
                    coming.before = await self._believing.before(
                        question, query, coming, attempts, answer.metered_before
                    )
                else:
                    coming.take(part, answer)
                    if coming.size > _MOST_CHUNK_BYTES:
                        raise Ended(UNVERIFIED)
                    if answer.chunk.chunk_complete:
                        await self._believing.require_asked_before(question, attempts, coming)
                        return await self._whole(question, query, coming, answering)
                part = await budget.spent(answering.next(), asked=True)
            raise Ended(UNREACHABLE, again=True)
        except Ended as ended:
            if ended.refusal == RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED:
                await self._believing.require_asked_before(question, attempts, coming)
            # What is refused once it was charged need not have been asked for before.
            if coming.asked_before or ended.outcome == REFUSED:
                ended.metered = coming.before
            raise
        finally:
            # An abandoned call would stay in flight (grpc #43462).
            answering.call.cancel()

    async def _whole(
        self,
        question: Question,
        query: QueryRecordsRequest,
        coming: Coming,
        answering: Answering,
    ) -> Verified:
        """Return the chunk that came whole, while the call ends by itself."""
        end = asyncio.ensure_future(answering.next())
        try:
            chunk = await self._believing.chunk(question, query, coming)
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


def _pause(number: int, ended: Ended) -> float:
    if ended.renew:
        return 0.0
    if ended.retry_after is not None:
        return ended.retry_after
    longest = _FIRST_PAUSE_SECONDS * 2**number
    # Apart, or all that broke at once would come again at once.
    return longest * (0.5 + secrets.randbelow(500) / 1_000)
