"""ReconcileClearing: the side that is asked compares, and keeps what the other claims."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from secrets import token_bytes
from typing import Final

from creditgate.clearing import FORMAT_VERSION
from creditgate.reconcile.elements import ELEMENT_BYTES, KEY_BYTES
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.federation.clearing.adopting import LostClearings
from gateway.federation.clearing.asked import Asked, agreed_otherwise, conflict, too_large
from gateway.federation.clearing.calling import KNOWN_UNTIL
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.clerk import DIFFERS, FORGOTTEN
from gateway.federation.clearing.comparing import MOST_AT_ONCE, Comparison
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.handing_back import (
    HandedBack,
    HandingBack,
    LeftOutTold,
    signed,
)
from gateway.federation.clearing.own_side import LedgerMoved, OwnSide
from gateway.federation.clearing.paging import (
    Claimed,
    Unclaimable,
    differences_of,
)
from gateway.federation.clearing.store import AgreedOtherwise, ClearingRow, SqlClearings
from gateway.federation.trust.book import Region
from sdk.documents import DocumentRefused

SILENT_SECONDS: Final = 60
"""Longest time the other side is waited for in a turn."""
CLAIMS_SECONDS: Final = 900
"""Longest time it is waited for until it begins to tell what it claims: it looks for that in all of
its ledger."""
MOST_SECONDS: Final = 1_800
"""Longest time one comparison may take."""


class ClearingComparisons:
    """Serves ReconcileClearing; one event loop's own."""

    def __init__(
        self,
        asked: Asked,
        clearings: SqlClearings,
        disputes: SqlDisputes,
        lost: LostClearings,
        handing_back: HandingBack,
    ) -> None:
        self._asked = asked
        self._lost = lost
        self._handing_back = handing_back
        self._clearings = clearings
        self._disputes = disputes
        self._comparing: set[str] = set()

    async def reconcile_clearing(
        self, requests: AsyncIterator[pb.ReconcileClearingRequest], caller: Caller
    ) -> AsyncGenerator[pb.ReconcileClearingResponse]:
        """Answer ReconcileClearing.

        Raises Refused INVALID_REQUEST; STATE_CONFLICT where it is this region that proposes, or
        the caller knows a clearing that this one does not (``why`` "forgotten": it is told which
        this one knows, and hands back what follows); RATE_EXCEEDED while another comparison with
        the region is under way, or it is silent; ANSWER_TOO_LARGE where there is too much to
        compare.
        """
        region = self._asked.proposing(caller)
        if region.entity_id in self._comparing:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "A comparison with your region is under way; wait for its end.",
                retry_after=5,
            )
        self._comparing.add(region.entity_id)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                first = await _next(requests, "opening", "agreed")
                if first.HasField("agreed"):
                    lost = await self._told(requests, region, first.agreed)
                    await self._asked.run(caller, self._take, region, lost)
                    yield pb.ReconcileClearingResponse(kept=True)
                    return
                opening = first.opening
                self._require_opening(opening)
                agreed = await self._asked.run(caller, self._later, region, opening)
                if agreed is not None:
                    yield pb.ReconcileClearingResponse(agreed=signed(agreed))
                    for told in await self._asked.run(caller, self._handing_back.left_out, agreed):
                        yield pb.ReconcileClearingResponse(left_out=told)
                    return
                side = await self._asked.run(
                    caller,
                    self._asked.side,
                    region.entity_id,
                    opening.previous_until_seconds,
                    opening.until_seconds,
                )
                if opening.entries > side.most_elements:
                    raise too_large("There are too many entries; clear a shorter period.")
                key = token_bytes(KEY_BYTES)
                yield pb.ReconcileClearingResponse(
                    terms=pb.ClearingTerms(checksum_key=key, entries=len(side))
                )
                compared = await self._asked.run(
                    caller, Comparison, key, side.elements, opening.entries
                )
                while wanted := await self._asked.run(caller, compared.wanted):
                    yield pb.ReconcileClearingResponse(symbols_wanted=wanted)
                    symbols = (await _next(requests, "symbols")).symbols
                    await self._asked.run(caller, compared.take, symbols, wanted)
                if wanted is None:
                    yield pb.ReconcileClearingResponse(elements_wanted=True)
                    elements = await _elements(requests, opening.entries)
                    await self._asked.run(caller, compared.take_all, elements)
                own = await self._asked.run(caller, _claims, side, compared.only_ours)
                for told in await self._asked.run(
                    caller, differences_of, compared.only_theirs, own
                ):
                    yield pb.ReconcileClearingResponse(differences=told)
                claims = await self._claimed(requests, region, side, opening, own)
                await self._asked.run(
                    caller,
                    self._disputes.keep_claims,
                    region.entity_id,
                    opening.until_seconds,
                    claims,
                )
                yield pb.ReconcileClearingResponse(kept=True)
        except TimeoutError:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"You were silent for {SILENT_SECONDS} seconds, or it took too long; begin anew.",
                retry_after=1,
            ) from None
        finally:
            self._comparing.discard(region.entity_id)

    async def _claimed(
        self,
        requests: AsyncIterator[pb.ReconcileClearingRequest],
        region: Region,
        side: OwnSide,
        opening: pb.ClearingOpening,
        own: Claims,
    ) -> Claims:
        """Return what the caller claims of the answers that differ: () of those of this side's
        that it claims nothing of."""
        regions = frozenset({self._asked.own, region.entity_id})
        claimed = Claimed(regions, opening.until_seconds, side.most_claimed)
        more = True
        while more:
            claims = (await _next(requests, "claims", seconds=CLAIMS_SECONDS)).claims
            try:
                claimed.add(claims.entries)
            except Unclaimable as fault:
                raise invalid(Violation("claims", str(fault))) from None
            more = claims.more
        return claimed.claims(own)

    async def _told(
        self,
        requests: AsyncIterator[pb.ReconcileClearingRequest],
        region: Region,
        agreed: pb.SignedClearing,
    ) -> HandedBack:
        """Return the clearing that the caller hands back, with what it left out."""
        told = LeftOutTold(frozenset({self._asked.own, region.entity_id}))
        more = True
        while more:
            left_out = (await _next(requests, "left_out")).left_out
            try:
                told.add(left_out)
            except Unclaimable as fault:
                raise invalid(Violation("left_out", str(fault))) from None
            more = left_out.more
        return told.whole(agreed)

    def _take(self, region: Region, lost: HandedBack) -> None:
        try:
            self._lost.take(region, lost)
        except DocumentRefused as refused:
            raise invalid(Violation("agreed", str(refused))) from None
        except AgreedOtherwise:
            raise agreed_otherwise() from None

    def _later(self, region: Region, opening: pb.ClearingOpening) -> ClearingRow | None:
        """Return the clearing that follows the last one the caller knows, None where there is
        none. Raises Refused STATE_CONFLICT where the caller knows more."""
        last = self._clearings.last(region.entity_id)
        known = 0 if last is None else last.until
        if known == opening.previous_until_seconds:
            return None
        later = self._clearings.from_(region.entity_id, opening.previous_until_seconds)
        if later is None:
            raise conflict(
                "This region does not know the clearing that yours is to follow on; hand back what"
                " follows on the last one it knows.",
                FORGOTTEN,
                **{KNOWN_UNTIL: str(known)},
            )
        return later

    def _require_opening(self, opening: pb.ClearingOpening) -> None:
        if opening.format_version != FORMAT_VERSION or opening.entries < 0:
            raise invalid(
                Violation(
                    "opening",
                    f"use format_version {FORMAT_VERSION}: disputes are by answer, and of any number",
                )
            )
        if not 0 <= opening.previous_until_seconds < opening.until_seconds:
            raise invalid(Violation("opening.until_seconds", "name a period"))
        self._asked.require_until(opening.until_seconds)


async def _next(
    requests: AsyncIterator[pb.ReconcileClearingRequest],
    *turns: str,
    seconds: int = SILENT_SECONDS,
) -> pb.ReconcileClearingRequest:
    async with asyncio.timeout(seconds):
        async for request in requests:
            if request.WhichOneof("turn") in turns:
                return request
            break
    raise invalid(Violation(turns[0], "is what is to be sent now"))


async def _elements(requests: AsyncIterator[pb.ReconcileClearingRequest], number: int) -> bytes:
    """Return as many elements as the opening says, packed."""
    packed = bytearray()
    more = True
    while more:
        message = (await _next(requests, "elements")).elements
        packed += message.elements
        most = min(number * ELEMENT_BYTES, len(packed))
        if len(message.elements) > MOST_AT_ONCE * ELEMENT_BYTES or len(packed) > most:
            raise invalid(Violation("elements", "send as many as the opening says"))
        more = message.more
    return bytes(packed)


def _claims(side: OwnSide, elements: Sequence[bytes]) -> Claims:
    """Return what a side claims of the answers that elements are of."""
    try:
        return side.claims(side.ids(elements))
    except LedgerMoved:
        raise conflict("The ledger has changed meanwhile; compare anew.", DIFFERS) from None
