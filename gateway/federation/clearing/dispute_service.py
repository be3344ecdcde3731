"""ClearingService, its methods about disputes: what clearings left out, and whose version stands."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Final

from creditgate.refusal import Refused, Violation
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.federation_service_pb2 import ClearingEvidence, SignedClearing
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.administration.desk import actor
from gateway.administration.listing import page_ask, page_of
from gateway.administration.presence import missing
from gateway.administration.request import require
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.clearing.amount_messages import amount_messages
from gateway.federation.clearing.amount_store import SqlAmounts
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.disputed import DisputeRow, OtherVersion
from gateway.federation.clearing.evidence_store import SqlEvidence
from gateway.federation.clearing.faults import region_faults, time_faults
from gateway.federation.clearing.messages import clearing_message, dispute_message, left_out_message
from gateway.federation.clearing.stands import Stand
from gateway.federation.clearing.store import SqlClearings
from gateway.note import note_faults
from gateway.settle.paging import Filters, id_of, page_token

_MOST_NOTE: Final = 500
_MOST_LISTED: Final = 200
_USUAL: Final = 50
_ID: Final = re.compile(r"dispute-[0-9a-f]{32}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class DisputeService:
    """Shows and resolves disputes. The methods take the request and the authenticated caller, whose
    scope was checked, and raise Refused."""

    def __init__(
        self,
        clearings: SqlClearings,
        disputes: SqlDisputes,
        evidence: SqlEvidence,
        amounts: SqlAmounts,
        clock: Clock,
    ) -> None:
        self._clearings = clearings
        self._disputes = disputes
        self._evidence = evidence
        self._amounts = amounts
        self._clock = clock

    async def get_clearing(
        self, request: pb.GetClearingRequest, caller: Caller
    ) -> pb.GetClearingResponse:
        """Answer GetClearing; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        del caller  # administrators see every clearing
        until = request.until_time.seconds
        filters = ("clearing", request.region, until)
        faults = region_faults(request.region) + time_faults("until_time", request.until_time)
        after, most = _dispute_page(request.page_size, request.page_token, filters, faults)
        row = await asyncio.to_thread(self._clearings.until, request.region, until)
        if row is None:
            raise missing("There is no clearing with this region that ends then.")
        found = await asyncio.to_thread(
            self._disputes.left_out, request.region, until, after=after, limit=most + 1
        )
        proofs = await asyncio.to_thread(self._evidence.of, [each.dispute_id for each in found])
        page = page_of((_proved(each, until, proofs) for each in found), most)
        told = [] if after else await asyncio.to_thread(self._amounts.of, request.region, until)
        signed = SignedClearing(document=row.document, acceptance=row.acceptance)
        return pb.GetClearingResponse(
            clearing=None if after else clearing_message(row),
            signed=None if after else signed,
            disputes=[each.disputes[0] for each in page],
            evidence=[piece for each in page for piece in each.evidence],
            next_page_token=_next_token(found, len(page), filters),
            # Pages are put together: on the first alone.
            amounts=None if after else amount_messages(row, told),
        )

    async def list_clearing_disputes(
        self, request: pb.ListClearingDisputesRequest, caller: Caller
    ) -> pb.ListClearingDisputesResponse:
        """Answer ListClearingDisputes; raises Refused INVALID_REQUEST, and RESOURCE_NOT_FOUND for
        a dispute that is named and is none."""
        del caller  # administrators see every dispute
        if request.dispute_id:
            return await self._dispute(request)
        filters = ("clearing_disputes", request.region, str(request.show_closed))
        faults = region_faults(request.region, may_be_empty=True)
        after, most = _dispute_page(request.page_size, request.page_token, filters, faults)
        found = await asyncio.to_thread(
            self._disputes.listed,
            request.region,
            closed=request.show_closed,
            after=after,
            limit=most + 1,
        )
        page = page_of(map(dispute_message, found), most)
        return pb.ListClearingDisputesResponse(
            disputes=page, next_page_token=_next_token(found, len(page), filters)
        )

    async def _dispute(
        self, request: pb.ListClearingDisputesRequest
    ) -> pb.ListClearingDisputesResponse:
        """Return one dispute, with a page of the entries of both versions: the home region's
        first."""
        dispute = request.dispute_id
        start, most = page_ask(request.page_size, request.page_token, ("clearing_dispute", dispute))
        row = _ID.fullmatch(dispute) and await asyncio.to_thread(self._disputes.one, dispute)
        if not row:
            raise missing("No dispute has this id; ListClearingDisputes lists them.")
        home, asking = await asyncio.to_thread(self._disputes.versions, dispute)
        end = start + most
        more = end < len(home) + len(asking)
        return pb.ListClearingDisputesResponse(
            disputes=[] if start else [dispute_message(row)],
            home_entries=[each.message() for each in home[start:end]],
            asking_entries=[
                each.message()
                for each in asking[max(0, start - len(home)) : max(0, end - len(home))]
            ],
            next_page_token=page_token(end, ("clearing_dispute", dispute)) if more else "",
        )

    async def resolve_clearing_dispute(
        self, request: pb.ResolveClearingDisputeRequest, caller: Caller
    ) -> pb.ResolveClearingDisputeResponse:
        """Answer ResolveClearingDispute; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        ETAG_MISMATCH where the side has another version by now."""
        faults = note_faults("note", request.note, _MOST_NOTE)
        if request.stands not in (
            pb.ClearingStand.CLEARING_STAND_HOME,
            pb.ClearingStand.CLEARING_STAND_ASKING,
        ):
            faults.append(Violation("stands", "say whose version stands"))
        if request.version and _VERSION.fullmatch(request.version) is None:
            mend = "use the version as ListClearingDisputes shows it, 64 hexadecimal digits"
            faults.append(Violation("version", mend))
        require(faults)
        try:
            resolved = _ID.fullmatch(request.dispute_id) and await asyncio.to_thread(
                self._disputes.resolve,
                request.dispute_id,
                Stand(request.stands, request.version),
                actor(caller),
                request.note,
                self._clock.now(),
            )
        except OtherVersion:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
                "That side has another version of the answer by now; ListClearingDisputes shows it.",
            ) from None
        row = resolved and await asyncio.to_thread(self._disputes.one, request.dispute_id)
        if not row:
            raise missing("No open dispute has this id; ListClearingDisputes lists them.")
        return pb.ResolveClearingDisputeResponse(dispute=dispute_message(row))


def _dispute_page(
    page_size: int, token: str, filters: Filters, faults: list[Violation]
) -> tuple[str, int]:
    """Return (id after which a page starts, most it holds). Raises Refused INVALID_REQUEST for
    these, and for the faults found before."""
    after, most = id_of(token, filters), page_size or _USUAL
    if after is None:
        faults.append(Violation("page_token", "use a token of the same list"))
    if not 1 <= most <= _MOST_LISTED:
        faults.append(Violation("page_size", f"use 1 to {_MOST_LISTED}"))
    require(faults)
    return after or "", most


def _next_token(found: Sequence[DisputeRow], shown: int, filters: Filters) -> str:
    return page_token(found[shown - 1].dispute_id, filters) if shown < len(found) else ""


def _proved(
    row: DisputeRow, until: int, proofs: Mapping[str, Sequence[bytes]]
) -> pb.GetClearingResponse:
    """Return what a clearing left out, with its evidence, as a part of the answer."""
    return pb.GetClearingResponse(
        disputes=[left_out_message(row, until)],
        evidence=[ClearingEvidence.FromString(each) for each in proofs.get(row.dispute_id, ())],
    )
