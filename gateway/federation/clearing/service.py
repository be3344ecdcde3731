"""ClearingService: clearings, disputes and what is owed, for administrators."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused, Violation
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.federation_service_pb2 import ClearingEvidence, SignedClearing
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.administration.desk import actor
from gateway.administration.listing import page_ask, page_of
from gateway.administration.presence import conflict, missing
from gateway.administration.request import require
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.disputed import OtherVersion
from gateway.federation.clearing.messages import clearing_message, dispute_message
from gateway.federation.clearing.rules import SETTLED_SECONDS, last_midnight
from gateway.federation.clearing.stands import Stand
from gateway.federation.clearing.store import ClearingRow, SqlClearings
from gateway.federation.trust.book import RegionBook
from gateway.note import note_faults
from gateway.settle.paging import id_of, page_token

MOST_WAIT_SECONDS: Final = 25.0
"""Longest time RunClearing waits for a clearing: less than a command does."""
_LOOK_SECONDS: Final = 0.1
_MOST_NOTE: Final = 500
_MOST_LISTED: Final = 200
_USUAL: Final = 50
_ID: Final = re.compile(r"dispute-[0-9a-f]{32}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_END_OF_TIME: Final = 253_402_300_799
_REGION: Final = re.compile(r"[!-~]{1,255}", re.ASCII)


class ClearingService:
    """Every method of creditgate.v1.ClearingService.

    ``nudge`` is called on the event loop where clearing is wanted at once. The methods take the
    request and the authenticated caller, whose scope was checked, and raise Refused.
    """

    def __init__(
        self,
        clearings: SqlClearings,
        attempts: SqlAttempts,
        book: RegionBook,
        clock: Clock,
        own: str,
        nudge: Callable[[], None],
    ) -> None:
        self._clearings = clearings
        self._attempts = attempts
        self._book = book
        self._clock = clock
        self._own = own
        self._nudge = nudge

    async def list_clearings(
        self, request: pb.ListClearingsRequest, caller: Caller
    ) -> pb.ListClearingsResponse:
        """Answer ListClearings; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every clearing
        require(_region_faults(request.region, may_be_empty=True))
        filters = ("clearings", request.region)
        before, most = page_ask(request.page_size, request.page_token, filters)
        found = await asyncio.to_thread(
            self._clearings.listed, request.region, before=before or None, limit=most + 1
        )
        page = page_of(map(clearing_message, found), most)
        more = len(page) < len(found)
        peers = [] if before else await asyncio.to_thread(self._peers, request.region)
        return pb.ListClearingsResponse(
            clearings=page,
            next_page_token=page_token(found[len(page) - 1].number, filters) if more else "",
            peers=peers,
        )

    async def get_clearing(
        self, request: pb.GetClearingRequest, caller: Caller
    ) -> pb.GetClearingResponse:
        """Answer GetClearing; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        del caller  # administrators see every clearing
        require(_region_faults(request.region) + _time_faults("until_time", request.until_time))
        until = request.until_time.seconds
        row = await asyncio.to_thread(self._clearings.until, request.region, until)
        if row is None:
            raise missing("There is no clearing with this region that ends then.")
        evidence = await asyncio.to_thread(self._clearings.evidence, request.region, until)
        return pb.GetClearingResponse(
            clearing=clearing_message(row),
            signed=SignedClearing(document=row.document, acceptance=row.acceptance),
            evidence=[ClearingEvidence.FromString(each) for each in evidence],
        )

    async def list_clearing_disputes(
        self, request: pb.ListClearingDisputesRequest, caller: Caller
    ) -> pb.ListClearingDisputesResponse:
        """Answer ListClearingDisputes; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every dispute
        filters = ("clearing_disputes", request.region, str(request.show_closed))
        after = id_of(request.page_token, filters)
        most = request.page_size or _USUAL
        faults = _region_faults(request.region, may_be_empty=True)
        if after is None:
            faults.append(Violation("page_token", "use a token of the same list"))
        if not 1 <= most <= _MOST_LISTED:
            faults.append(Violation("page_size", f"use 1 to {_MOST_LISTED}"))
        require(faults)
        found = await asyncio.to_thread(
            self._clearings.listed_disputes,
            request.region,
            closed=request.show_closed,
            after=after or "",
            limit=most + 1,
        )
        page = page_of(map(dispute_message, found), most)
        more = len(page) < len(found)
        return pb.ListClearingDisputesResponse(
            disputes=page,
            next_page_token=page_token(page[-1].dispute_id, filters) if more else "",
        )

    async def run_clearing(
        self, request: pb.RunClearingRequest, caller: Caller
    ) -> pb.RunClearingResponse:
        """Answer RunClearing.

        Raises Refused INVALID_REQUEST; as `RegionBook.region`; STATE_CONFLICT where the other
        region proposes, it is cleared further already, or clearing failed; and
        TEMPORARILY_UNAVAILABLE where it takes longer than it is waited for.
        """
        del caller  # told by the clearing itself
        now = self._clock.now()
        is_timed = request.HasField("until_time")
        until = request.until_time.seconds if is_timed else last_midnight(now)
        faults = _region_faults(request.region)
        if is_timed:
            faults += _time_faults("until_time", request.until_time)
            if until > now - SETTLED_SECONDS:
                faults.append(Violation("until_time", f"name one past {SETTLED_SECONDS} seconds"))
        require(faults)
        region = self._book.region(request.region)
        if self._own >= region.entity_id:
            raise conflict(
                "The other region proposes, since its identifier comes first: run it there."
            )
        attempts = await asyncio.to_thread(self._tried, request.region)
        last = await asyncio.to_thread(self._clearings.last, request.region)
        if last is not None and last.until == until:
            return pb.RunClearingResponse(clearing=clearing_message(last))
        if last is not None and last.until > until:
            raise conflict("It is cleared further with this region already; ListClearings tells.")
        await asyncio.to_thread(self._attempts.want, request.region, until)
        self._nudge()
        row = await self._cleared(request.region, until, attempts)
        return pb.RunClearingResponse(clearing=clearing_message(row))

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
            row = _ID.fullmatch(request.dispute_id) and await asyncio.to_thread(
                self._clearings.resolve,
                request.dispute_id,
                Stand(request.stands, request.version),
                actor(caller),
                request.note,
                self._clock.now(),
            )
        except OtherVersion:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
                "That side has another version of the entry by now; ListClearingDisputes shows it.",
            ) from None
        if not row:
            raise missing("No open dispute has this id; ListClearingDisputes lists them.")
        return pb.ResolveClearingDisputeResponse(dispute=dispute_message(row))

    async def get_clearing_nets(
        self, request: pb.GetClearingNetsRequest, caller: Caller
    ) -> pb.GetClearingNetsResponse:
        """Answer GetClearingNets; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every clearing
        faults = [
            fault
            for name in ("from_time", "until_time")
            if request.HasField(name)
            for fault in _time_faults(name, getattr(request, name))
        ]
        require(faults)
        until = request.until_time.seconds if request.HasField("until_time") else None
        rows = await asyncio.to_thread(self._clearings.nets, request.from_time.seconds, until)
        nets = [
            pb.ClearingNet(
                region=region,
                clearings=clearings,
                owed_micro_yuan=int(owed),
                due_micro_yuan=int(due),
                net_micro_yuan=int(due) - int(owed),
            )
            for region, clearings, owed, due in rows
        ]
        return pb.GetClearingNetsResponse(
            nets=nets, net_micro_yuan=sum(each.net_micro_yuan for each in nets)
        )

    def _peers(self, only: str) -> list[pb.ClearingPeer]:
        failures = self._attempts.failures()
        regions = {each.entity_id for each in self._book.regions()} | failures.keys()
        peers: list[pb.ClearingPeer] = []
        for region in sorted(regions):
            if only and region != only:
                continue
            last = self._clearings.last(region)
            peer = pb.ClearingPeer(region=region, proposes=self._own < region)
            if last is not None:
                peer.cleared_until_time.seconds = last.until
            if region in failures:
                peer.failure = failures[region].why
                peer.failing_since_time.seconds = failures[region].since
            peers.append(peer)
        return peers

    def _tried(self, region: str) -> int:
        failure = self._attempts.failures().get(region)
        return 0 if failure is None else failure.attempts

    async def _cleared(self, region: str, until: int, attempts: int) -> ClearingRow:
        give_up_at = time.monotonic() + MOST_WAIT_SECONDS
        while time.monotonic() < give_up_at:
            last = await asyncio.to_thread(self._clearings.last, region)
            if last is not None and last.until >= until:
                return last
            failure = (await asyncio.to_thread(self._attempts.failures)).get(region)
            if failure is not None and failure.attempts > attempts:
                raise conflict(f"Clearing failed: {failure.why}.")
            await asyncio.sleep(_LOOK_SECONDS)
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "It takes longer; ListClearings tells when it is agreed.",
            retry_after=5,
        )


def _region_faults(region: str, *, may_be_empty: bool = False) -> list[Violation]:
    if (may_be_empty and not region) or _REGION.fullmatch(region):
        return []
    return [Violation("region", "use the region's entity identifier")]


def _time_faults(field: str, at: Timestamp) -> list[Violation]:
    if 0 < at.seconds <= _END_OF_TIME and not at.nanos:
        return []
    return [Violation(field, "use an instant in whole seconds")]
