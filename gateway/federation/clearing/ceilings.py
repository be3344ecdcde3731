"""ClearingService, its method about ceilings: the most this region accepts of another."""

import asyncio
from typing import Final

from creditgate.refusal import Violation
from creditgate.v1 import clearing_service_pb2 as pb
from gateway.administration.desk import actor
from gateway.administration.request import require
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.clearing.amount_messages import ceiling_message
from gateway.federation.clearing.amount_store import Ceiling, SqlAmounts
from gateway.federation.trust.book import RegionBook
from gateway.note import note_faults

_MOST_REASON: Final = 500


class CeilingService:
    """Sets ceilings. The method takes the request and the authenticated caller, whose scope was
    checked, and raises Refused."""

    def __init__(self, amounts: SqlAmounts, book: RegionBook, clock: Clock) -> None:
        self._amounts = amounts
        self._book = book
        self._clock = clock

    async def set_clearing_ceiling(
        self, request: pb.SetClearingCeilingRequest, caller: Caller
    ) -> pb.SetClearingCeilingResponse:
        """Answer SetClearingCeiling; raises Refused INVALID_REQUEST, and as `RegionBook.region`."""
        faults = note_faults("reason", request.reason, _MOST_REASON)
        names = ("record_micro_yuan", "month_micro_yuan")
        faults += [
            Violation(name, "use 0 micro-yuan or more")
            for name in names
            if getattr(request, name) < 0
        ]
        require(faults)
        region = self._book.region(request.region)
        record, month = (
            getattr(request, name) if request.HasField(name) else None for name in names
        )
        ceiling = Ceiling(record, month, actor(caller), self._clock.now(), request.reason)
        await asyncio.to_thread(self._amounts.set_ceiling, region.entity_id, ceiling)
        return pb.SetClearingCeilingResponse(ceiling=ceiling_message(ceiling))
