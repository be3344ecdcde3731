"""WitnessService: what is witnessed, the split views, and who has looked into them."""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import witness_service_pb2 as pb
from gateway.administration.desk import actor
from gateway.administration.listing import page_ask, page_of
from gateway.administration.presence import missing
from gateway.administration.request import require
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.witness.quorum import HomeQuorum
from gateway.federation.witness.splits import FoundSplit, SplitViews, evidence_of, split_id
from gateway.federation.witness.wire import evidence_message
from gateway.federation.witness.witness import Witness
from gateway.note import note_faults
from gateway.settle.paging import page_token
from gateway.transparency.log import LogReader

_MOST_NOTE: Final = 500
_ID: Final = re.compile(r"split-([0-9]{1,18})", re.ASCII)


class WitnessService:
    """Every method of creditgate.v1.WitnessService.

    The methods take the request and the authenticated caller, whose scope was checked, and
    raise Refused. ``cleared`` is called on the event loop once one was.
    """

    def __init__(
        self,
        witness: Witness,
        splits: SplitViews,
        own: LogReader,
        quorum: HomeQuorum,
        clock: Clock,
        cleared: Callable[[], None],
    ) -> None:
        self._witness = witness
        self._splits = splits
        self._own = own
        self._quorum = quorum
        self._clock = clock
        self._cleared = cleared

    async def list_witnessed_logs(
        self, request: pb.ListWitnessedLogsRequest, caller: Caller
    ) -> pb.ListWitnessedLogsResponse:
        """Answer ListWitnessedLogs."""
        del request, caller  # administrators see every log
        return await asyncio.to_thread(self._witnessed)

    async def list_split_views(
        self, request: pb.ListSplitViewsRequest, caller: Caller
    ) -> pb.ListSplitViewsResponse:
        """Answer ListSplitViews; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every split view
        filters = ("split_views", str(request.show_cleared))
        before, most = page_ask(request.page_size, request.page_token, filters)
        found = await asyncio.to_thread(
            self._splits.listed,
            cleared=request.show_cleared,
            before=before or None,
            limit=most + 1,
        )
        page = page_of(map(split_message, found), most)
        more = len(page) < len(found)
        return pb.ListSplitViewsResponse(
            split_views=page,
            next_page_token=page_token(found[len(page) - 1].number, filters) if more else "",
        )

    async def clear_split_view(
        self, request: pb.ClearSplitViewRequest, caller: Caller
    ) -> pb.ClearSplitViewResponse:
        """Answer ClearSplitView; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        require(note_faults("note", request.note, _MOST_NOTE))
        named = _ID.fullmatch(request.split_view_id)
        found = named and await asyncio.to_thread(
            self._splits.clear, int(named[1]), actor(caller), request.note, self._clock.now()
        )
        if not found:
            raise missing("No split view has this id; ListSplitViews lists them.")
        self._cleared()
        return pb.ClearSplitViewResponse(split_view=split_message(found))

    def _witnessed(self) -> pb.ListWitnessedLogsResponse:
        distrusted = self._splits.distrusted()
        answer = pb.ListWitnessedLogsResponse(
            logs=[
                pb.WitnessedLog(
                    origin=each.origin,
                    region=each.region,
                    checkpoint=each.cosigned,
                    tree_size=each.size,
                    cosign_time=Timestamp(seconds=each.cosigned_at),
                    distrusted=each.log_key in distrusted,
                )
                for each in self._witness.witnessed()
            ],
            quorum=self._quorum.quorum,
        )
        latest = self._own.latest()
        if latest is not None:
            answer.own_checkpoint = latest.cosigned
            answer.own_cosigned_by[:] = sorted(self._quorum.cosigned_by(latest))
        return answer


def split_message(row: FoundSplit) -> pb.SplitView:
    """Return a split view as the contract has it."""
    message = pb.SplitView(
        split_view_id=split_id(row.number),
        origin=row.origin,
        region=row.region,
        log_key=row.log_key,
        evidence=evidence_message(evidence_of(row)),
        told_by=row.told_by,
        find_time=Timestamp(seconds=row.found_at),
        cleared_by=row.cleared_by,
        note=row.note,
    )
    if row.cleared_at is not None:
        message.clear_time.seconds = row.cleared_at
    return message
