"""ClearingService: clearings, and what is owed by them, for administrators."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from creditgate.refusal import Refused, Violation
from creditgate.v1 import clearing_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.administration.listing import page_ask, page_of
from gateway.administration.presence import conflict
from gateway.administration.request import require
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.clearing.amount_messages import ceiling_message
from gateway.federation.clearing.amount_store import NO_CEILING, SqlAmounts
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.faults import region_faults, time_faults
from gateway.federation.clearing.messages import clearing_message
from gateway.federation.clearing.rules import SETTLED_SECONDS, last_midnight
from gateway.federation.clearing.store import ClearingRow, SqlClearings
from gateway.federation.trust.book import RegionBook
from gateway.settle.paging import page_token

MOST_WAIT_SECONDS: Final = 25.0
"""Longest time RunClearing waits for a clearing: less than a command does."""
_LOOK_SECONDS: Final = 0.1


class ClearingService:
    """The methods of creditgate.v1.ClearingService but those about disputes and ceilings.

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
        amounts: SqlAmounts,
    ) -> None:
        self._amounts = amounts
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
        require(region_faults(request.region, may_be_empty=True))
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
        faults = region_faults(request.region)
        if is_timed:
            faults += time_faults("until_time", request.until_time)
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

    async def get_clearing_nets(
        self, request: pb.GetClearingNetsRequest, caller: Caller
    ) -> pb.GetClearingNetsResponse:
        """Answer GetClearingNets; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every clearing
        faults = [
            fault
            for name in ("from_time", "until_time")
            if request.HasField(name)
            for fault in time_faults(name, getattr(request, name))
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
        failures, ceilings = self._attempts.failures(), self._amounts.ceilings()
        regions = {each.entity_id for each in self._book.regions()} | failures.keys()
        peers: list[pb.ClearingPeer] = []
        for region in sorted(regions):
            if only and region != only:
                continue
            last = self._clearings.last(region)
            peer = pb.ClearingPeer(
                region=region,
                proposes=self._own < region,
                ceiling=ceiling_message(ceilings.get(region, NO_CEILING)),
            )
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
