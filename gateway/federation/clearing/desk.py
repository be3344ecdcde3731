"""ReconcileClearing and AgreeClearing: the side that is asked, and takes nobody's word.

What is proposed is looked for in this region's own ledger once more, so that nothing has to be
remembered between the two calls, nor over a restart.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from secrets import token_bytes
from typing import Final, ParamSpec, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.clearing import MOST_DISPUTES, Clearing, ClearingEntry, document_digest
from creditgate.reconcile.decode import Decoder, SymbolsInconsistent
from creditgate.reconcile.elements import ELEMENT_BYTES, KEY_BYTES, Words
from creditgate.reconcile.symbols import FORMAT_VERSION, CodedSet, coded
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import CodedSymbols, SetElements
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.conformance.shown import symbols_in
from gateway.federation.clearing.agreeing import Differs, acceptance, made, require_same
from gateway.federation.clearing.clerk import DIFFERS
from gateway.federation.clearing.evidence import MOST_BYTES, DisputeEvidence, pieces
from gateway.federation.clearing.own_side import LedgerMoved, OwnSide, OwnSides, TooMany
from gateway.federation.clearing.rules import SETTLED_SECONDS
from gateway.federation.clearing.signing import ClearingKeys, keys_of
from gateway.federation.clearing.store import (
    AgreedOtherwise,
    ClearingRow,
    SqlClearings,
)
from gateway.federation.trust.book import Region
from gateway.shares import Shares
from sdk.clearings import verified_proposal
from sdk.documents import DocumentRefused, require_past

SILENT_SECONDS: Final = 60
"""Longest time the other side is waited for in a turn."""
MOST_SECONDS: Final = 1_800
"""Longest time one comparison may take."""
FIRST_SYMBOLS: Final = 64
_MOST_SYMBOLS: Final = 8 * MOST_DISPUTES
_ENTRIES_A_MESSAGE: Final = 500

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ClearingDesk:
    """Serves the methods of FederationService by which a region clears; one event loop's own.

    ``region_of`` gives the region of a client id, or raises Refused.
    """

    def __init__(
        self,
        clearings: SqlClearings,
        sides: OwnSides,
        evidence: DisputeEvidence,
        keys: ClearingKeys,
        region_of: Callable[[str], Region],
        shares: Shares,
        clock: Clock,
        own: str,
    ) -> None:
        self._clearings = clearings
        self._sides = sides
        self._evidence = evidence
        self._keys = keys
        self._region_of = region_of
        self._shares = shares
        self._clock = clock
        self._own = own
        self._comparing: set[str] = set()

    async def reconcile_clearing(
        self, requests: AsyncIterator[pb.ReconcileClearingRequest], caller: Caller
    ) -> AsyncGenerator[pb.ReconcileClearingResponse]:
        """Answer ReconcileClearing.

        Raises Refused INVALID_REQUEST; STATE_CONFLICT where it is this region that proposes, or
        the caller knows a clearing that this one does not; RATE_EXCEEDED while another
        comparison with the region is under way, or it is silent; ANSWER_TOO_LARGE where there
        is too much to compare, or too much differs.
        """
        region = self._proposing(caller)
        if region.entity_id in self._comparing:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "A comparison with your region is under way; wait for its end.",
                retry_after=5,
            )
        self._comparing.add(region.entity_id)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                opening = (await _next(requests, "opening")).opening
                self._require_opening(opening)
                agreed = await self._run(caller, self._later, region, opening)
                if agreed is not None:
                    yield pb.ReconcileClearingResponse(agreed=agreed)
                    return
                side = await self._run(
                    caller,
                    self._side,
                    region.entity_id,
                    opening.previous_until_seconds,
                    opening.until_seconds,
                )
                key = token_bytes(KEY_BYTES)
                yield pb.ReconcileClearingResponse(
                    terms=pb.ClearingTerms(checksum_key=key, entries=len(side))
                )
                ours = await self._run(caller, coded, side.elements, key)
                decoder = Decoder(key, opening.entries - len(side))
                while wanted := _wanted(decoder):
                    yield pb.ReconcileClearingResponse(symbols_wanted=wanted)
                    symbols = (await _next(requests, "symbols")).symbols
                    await self._run(caller, _take, decoder, ours, symbols, wanted)
                told = await self._run(caller, self._differences, region.entity_id, side, decoder)
                for message in told:
                    yield message
        except TimeoutError:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"You were silent for {SILENT_SECONDS} seconds, or it took too long; begin anew.",
                retry_after=1,
            ) from None
        finally:
            self._comparing.discard(region.entity_id)

    async def agree_clearing(
        self, request: pb.AgreeClearingRequest, caller: Caller
    ) -> pb.AgreeClearingResponse:
        """Answer AgreeClearing.

        Raises Refused INVALID_REQUEST for what the region did not sign or what is no clearing;
        STATE_CONFLICT where it is not what this region's ledger says (``why`` "differs"), does
        not follow on the last one, or the period is cleared otherwise ("agreed_otherwise");
        TEMPORARILY_UNAVAILABLE without a key to sign with.
        """
        region = self._proposing(caller)
        _require_small(request)
        row = await self._run(caller, self._agree, region, request)
        return pb.AgreeClearingResponse(
            acceptance=row.acceptance, agree_time=Timestamp(seconds=row.agreed_at)
        )

    def _agree(self, region: Region, request: pb.AgreeClearingRequest) -> ClearingRow:
        now = self._clock.now()
        try:
            clearing = verified_proposal(request.document, keys_of(region), region.entity_id)
            require_past(clearing.iat, now)
        except DocumentRefused as refused:
            raise invalid(Violation("document", str(refused))) from None
        if clearing.other != self._own:
            raise invalid(Violation("document", "it is a clearing with another region"))
        before = self._clearings.from_(region.entity_id, clearing.start)
        if before is not None:
            if before.document != request.document:
                raise _agreed_otherwise()
            return before
        self._require_follows(region.entity_id, clearing)
        self._require_until(clearing.until)
        return self._sign(region, request, clearing, now)

    def _sign(
        self, region: Region, request: pb.AgreeClearingRequest, clearing: Clearing, now: int
    ) -> ClearingRow:
        side = self._side(region.entity_id, clearing.start, clearing.until)
        try:
            elements = require_same(clearing, side, self._own)
        except Differs as differs:
            raise _conflict(
                f"The clearing is not what this ledger says: {differs}.", DIFFERS
            ) from None
        left_out = [each.dispute for each in clearing.disputes]
        own = self._evidence.of(
            region.entity_id, [one for each in left_out for one in each.versions]
        )
        evidence = [*own, *request.evidence]
        told = self._evidence.told(left_out, evidence, region)
        row = made(
            clearing,
            request.document,
            self._keys.sign(acceptance(request.document, self._own, now)),
            side,
            elements,
            own=self._own,
            made_at=clearing.iat,
            agreed_at=now,
        )
        try:
            return self._clearings.agree(row, told, pieces(evidence), region.operator_id)
        except AgreedOtherwise:
            raise _agreed_otherwise() from None

    def _later(self, region: Region, opening: pb.ClearingOpening) -> pb.SignedClearing | None:
        """Return the clearing that follows the last one the caller knows, None where there is
        none. Raises Refused STATE_CONFLICT where the caller knows more."""
        last = self._clearings.last(region.entity_id)
        known = 0 if last is None else last.until
        if known == opening.previous_until_seconds:
            return None
        later = self._clearings.from_(region.entity_id, opening.previous_until_seconds)
        if later is None:
            raise _conflict(
                "This region does not know the clearing that yours is to follow on.", "forgotten"
            )
        return pb.SignedClearing(document=later.document, acceptance=later.acceptance)

    def _side(self, region: str, start: int, until: int) -> OwnSide:
        try:
            return self._sides.of(region, start, until)
        except TooMany:
            raise _too_large("There are too many entries; clear a shorter period.") from None

    def _differences(
        self, region: str, side: OwnSide, decoder: Decoder
    ) -> Sequence[pb.ReconcileClearingResponse]:
        if max(len(decoder.theirs), len(decoder.ours)) > MOST_DISPUTES:
            raise _too_large("The ledgers differ by more than a clearing leaves out.")
        try:
            entries = side.found(_elements(decoder.ours))
        except LedgerMoved:
            raise _conflict("The ledger has changed meanwhile; compare anew.", DIFFERS) from None
        found = pb.ClearingDifferences(only_caller=SetElements(elements=_elements(decoder.theirs)))
        messages = [found, *map(_shown, _parts(entries))]
        for message in messages[:-1]:
            message.more = True
        messages[-1].evidence.extend(self._evidence.of(region, entries))
        return [pb.ReconcileClearingResponse(differences=each) for each in messages]

    def _proposing(self, caller: Caller) -> Region:
        region = self._region_of(caller.client_id)
        if region.entity_id > self._own:
            raise _conflict(
                "Of two regions the one whose identifier comes first proposes.", "order"
            )
        return region

    def _require_opening(self, opening: pb.ClearingOpening) -> None:
        if opening.format_version != FORMAT_VERSION or opening.entries < 0:
            raise invalid(Violation("opening", f"use format_version {FORMAT_VERSION}"))
        if not 0 <= opening.previous_until_seconds < opening.until_seconds:
            raise invalid(Violation("opening.until_seconds", "name a period"))
        self._require_until(opening.until_seconds)

    def _require_until(self, until: int) -> None:
        if until > self._clock.now() - SETTLED_SECONDS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The period is not over here yet.",
                retry_after=SETTLED_SECONDS,
            )

    def _require_follows(self, region: str, clearing: Clearing) -> None:
        last = self._clearings.last(region)
        start, previous = (0, "") if last is None else (last.until, document_digest(last.document))
        if (clearing.start, clearing.previous) != (start, previous):
            raise _conflict("The clearing does not follow on the last one.", "does_not_follow")

    async def _run(
        self, caller: Caller, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return await self._shares.run(caller.asker, work, *args, **kwargs)


def _wanted(decoder: Decoder) -> int:
    """Return how many more symbols are wanted, 0 once they tell all. Raises Refused
    ANSWER_TOO_LARGE."""
    if decoder.decoded:
        return 0
    wanted = decoder.wanted() if decoder.taken else FIRST_SYMBOLS
    if decoder.exhausted or decoder.taken + wanted > _MOST_SYMBOLS:
        raise _too_large("The ledgers differ by more than a clearing leaves out.")
    return wanted


def _take(decoder: Decoder, ours: CodedSet, message: CodedSymbols, wanted: int) -> None:
    first = decoder.taken
    theirs = symbols_in(message, first, wanted)
    try:
        decoder.take(theirs, ours.symbols(first, wanted))
    except SymbolsInconsistent:
        raise invalid(
            Violation("symbols", "must be those of one set, under the key of the terms")
        ) from None


async def _next(
    requests: AsyncIterator[pb.ReconcileClearingRequest], turn: str
) -> pb.ReconcileClearingRequest:
    async with asyncio.timeout(SILENT_SECONDS):
        async for request in requests:
            if request.WhichOneof("turn") == turn:
                return request
            break
    raise invalid(Violation(turn, "is what is to be sent now"))


def _elements(words: Words) -> list[bytes]:
    packed = words.tobytes()
    return [packed[place : place + ELEMENT_BYTES] for place in range(0, len(packed), ELEMENT_BYTES)]


def _parts(entries: Sequence[ClearingEntry]) -> Iterator[Sequence[ClearingEntry]]:
    for start in range(0, len(entries), _ENTRIES_A_MESSAGE):
        yield entries[start : start + _ENTRIES_A_MESSAGE]


def _shown(entries: Sequence[ClearingEntry]) -> pb.ClearingDifferences:
    return pb.ClearingDifferences(only_callee=[each.message() for each in entries])


def _require_small(request: pb.AgreeClearingRequest) -> None:
    if sum(each.ByteSize() for each in request.evidence) > MOST_BYTES:
        raise invalid(Violation("evidence", f"send at most {MOST_BYTES} bytes of it"))


def _conflict(message: str, why: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message, metadata={"why": why})


def _agreed_otherwise() -> Refused:
    return _conflict("The period, or a part of it, is cleared otherwise.", "agreed_otherwise")


def _too_large(message: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE, message)
