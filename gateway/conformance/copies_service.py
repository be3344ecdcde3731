"""AttestCopies and ReconcileCopies: operators tell what they hold, and it is compared with what
they should hold (Opinions, article 8; guarantee G9)."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial
from typing import TypeVar

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import conformance_service_pb2 as pb
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.conformance.answered import reading_at
from gateway.conformance.attesting import Attester, Attesting, Removing
from gateway.conformance.covering import read_at
from gateway.conformance.finding_messages import attestation_message
from gateway.conformance.judging import Elsewhere, Judge
from gateway.conformance.model import Attestation
from gateway.conformance.shown import MOST_AT_ONCE, opening_digest, require_opening
from gateway.conformance.turns import Turn, Turns
from gateway.conformance.uptime import Awake
from gateway.conformance.warm import WarmSets
from gateway.storage.engines import Engines, reading

_Request = TypeVar("_Request", pb.AttestCopiesRequest, pb.ReconcileCopiesRequest)


class CopiesService:
    """The methods of ConformanceService by which operators attest; one event loop's own."""

    def __init__(
        self,
        engines: Engines,
        elsewhere: Elsewhere,
        attested: Attesting,
        policy: Removing,
        clock: Clock,
        awake: Awake,
    ) -> None:
        self._records = engines.records
        self._warm = WarmSets(engines)
        self._judge = Judge(engines, elsewhere)
        self._attested = attested
        self._policy = policy
        self._clock = clock
        self._awake = awake
        self._turns = Turns()

    def close(self) -> None:
        """End the threads; nothing is attested any more."""
        self._turns.close()

    async def attest_copies(
        self, requests: AsyncIterator[pb.AttestCopiesRequest], caller: Caller
    ) -> pb.AttestCopiesResponse:
        """Answer AttestCopies.

        A request id attested by before answers as then. Raises Refused INVALID_REQUEST, also where
        the copies were read too long ago, or before those attested last;
        REQUEST_ID_REUSED where it was opened otherwise then;
        RATE_EXCEEDED, see `Turns`, too soon after the last attestation, and while too many
        copies are to be shown; TEMPORARILY_UNAVAILABLE while it is not known what the operator was served.
        """
        opening = await _opening(requests)
        async with self._turns.of(caller.operator_id) as turn:
            attestation = await self._earlier(turn, caller, opening)
            if attestation is None:
                attester = await self._begin(turn, caller, opening)
                attestation = await self._all_copies(turn, attester, requests)
        return pb.AttestCopiesResponse(attestation=attestation_message(attestation))

    async def reconcile_copies(
        self, requests: AsyncIterator[pb.ReconcileCopiesRequest], caller: Caller
    ) -> AsyncGenerator[pb.ReconcileCopiesResponse]:
        """Answer ReconcileCopies; raises Refused as `attest_copies`."""
        opening = await _opening(requests)
        async with self._turns.of(caller.operator_id) as turn:
            attestation = await self._earlier(turn, caller, opening)
            if attestation is None:
                attester = await self._begin(turn, caller, opening)
                yield pb.ReconcileCopiesResponse(terms=attester.terms())
                decoded = False
                while not decoded and (wanted := await turn.work(attester.symbols_wanted)):
                    yield pb.ReconcileCopiesResponse(symbols_wanted=wanted)
                    symbols = (await _next(requests, "symbols")).symbols
                    decoded = await turn.work(partial(attester.take_symbols, symbols))
                if decoded:
                    for elements in _parts(await turn.work(attester.copies_wanted)):
                        asked = pb.SetElements(elements=elements)
                        yield pb.ReconcileCopiesResponse(copies_wanted=asked)
                        shown = (await _next(requests, "copies")).copies
                        await turn.work(partial(attester.take_shown, shown))
                    # What its symbols have proved it holds is shown whole, or nothing is kept.
                    attester.require_all()
                    attestation = await self._finish(turn, attester)
                else:
                    yield pb.ReconcileCopiesResponse(all_copies_wanted=True)
                    attestation = await self._all_copies(turn, attester, requests)
            yield pb.ReconcileCopiesResponse(attestation=attestation_message(attestation))

    async def _earlier(
        self, turn: Turn, caller: Caller, opening: pb.AttestationOpening
    ) -> Attestation | None:
        return await turn.work(
            partial(
                self._attested.earlier,
                caller.operator_id,
                opening.request_id,
                opening_digest(opening),
            )
        )

    async def _begin(self, turn: Turn, caller: Caller, opening: pb.AttestationOpening) -> Attester:
        operator_id = caller.operator_id

        def begin() -> Attester:
            now = self._clock.now()
            self._awake.wake(now)
            at = read_at(opening, now)
            self._attested.require_turn(operator_id, opening.copies, at, now)
            with reading(self._records) as records:
                read = reading_at(records, operator_id, at)
            held, entitlement = self._warm.of(operator_id, now)
            return Attester(operator_id, caller.client_id, opening, held, entitlement, read)

        attester = await turn.work(begin)
        # No more than is known of: what is said could be anything.
        turn.expect(min(opening.copies, attester.entitled))
        return attester

    async def _all_copies(
        self, turn: Turn, attester: Attester, requests: AsyncIterator[_Request]
    ) -> Attestation:
        async for request in requests:
            if _part(request) != "copies":
                raise _out_of_turn("copies")
            await turn.work(partial(attester.take_copies, request.copies))
        attester.require_all()
        return await self._finish(turn, attester)

    async def _finish(self, turn: Turn, attester: Attester) -> Attestation:
        return await turn.work(
            partial(
                attester.finish,
                self._records,
                self._judge,
                self._attested,
                self._policy,
                self._clock,
                self._awake,
            )
        )


async def _opening(requests: AsyncIterator[_Request]) -> pb.AttestationOpening:
    opening = (await _next(requests, "opening")).opening
    require_opening(opening)
    return opening


async def _next(requests: AsyncIterator[_Request], turn: str) -> _Request:
    """Return the next message, which must be the caller's ``turn``."""
    async for request in requests:
        if _part(request) == turn:
            return request
        break
    raise _out_of_turn(turn)


def _part(request: pb.AttestCopiesRequest | pb.ReconcileCopiesRequest) -> str | None:
    if isinstance(request, pb.AttestCopiesRequest):
        return request.WhichOneof("part")
    return request.WhichOneof("turn")


def _parts(elements: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [
        elements[start : start + MOST_AT_ONCE] for start in range(0, len(elements), MOST_AT_ONCE)
    ]


def _out_of_turn(turn: str) -> Refused:
    return invalid(Violation(turn, "is what is to be sent now"))
