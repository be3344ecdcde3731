"""WatchRegionRecords: what became of records that other regions gave an operator (G9).

It is the other half of a duty (`operators.duties`), so it is told whatever the operator's state
and licences. Of a region that was not heard for longer than the lease it is said that nothing is
known: an operator never takes silence for good news.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import federated_record_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.federation.asking.event_news import RegionEventNews
from gateway.federation.asking.event_places import sequence_in
from gateway.federation.asking.region_events import Heard, RegionEvent, SqlRegionEvents
from gateway.federation.asking.removals import Deadlines, RegionRemovals
from gateway.federation.trust.book import RegionBook
from gateway.shares import Shares
from operators.rules import require_call

SCOPE: Final = "credit.regions:watch"
HEARTBEAT_SECONDS: Final = 5.0
MOST_WATCHERS: Final = 8
"""Most streams of one operator that one process serves at once."""
_HEARTBEATS_A_LEASE: Final = 3
_PAGE_EVENTS: Final = 200
_LAST_NUMBER: Final = (1 << 63) - 1


class RegionRecordWatch:
    """Streams events. ``view`` gives authority as of now and raises Refused without; a region
    counts as known for ``lease_seconds`` after it was heard. ``own`` is this region's entity
    identifier."""

    def __init__(
        self,
        events: SqlRegionEvents,
        news: RegionEventNews,
        book: RegionBook,
        reads: Shares,
        view: Callable[[], AuthorityView],
        clock: Clock,
        lease_seconds: float,
        own: str,
        removals: RegionRemovals,
        deadlines: Deadlines,
    ) -> None:
        self._events = events
        self._news = news
        self._book = book
        self._reads = reads
        self._view = view
        self._clock = clock
        self._lease_seconds = int(lease_seconds)
        self._own = own
        self._removals = removals
        self._deadlines = deadlines
        self._heartbeat_seconds = min(HEARTBEAT_SECONDS, lease_seconds / _HEARTBEATS_A_LEASE)

    async def watch_region_records(
        self, request: pb.WatchRegionRecordsRequest, caller: Caller
    ) -> AsyncGenerator[pb.WatchRegionRecordsResponse]:
        """Answer WatchRegionRecords: each event after the number, and signs of life.

        Whether the caller may be told is decided anew for each message (G4). Raises Refused:
        INVALID_REQUEST; RATE_EXCEEDED where the operator has `MOST_WATCHERS` streams;
        TEMPORARILY_UNAVAILABLE where the process ends; the reasons of
        `operators.rules.require_call`.
        """
        operator_id, after = caller.operator_id, request.after_number
        if self._news.watching(operator_id) >= MOST_WATCHERS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"An operator has {MOST_WATCHERS} streams of other regions' records open at most;"
                " close one.",
                retry_after=1,
            )
        with self._news.of_operator(operator_id) as stirred:
            await self._require_known(after, operator_id)
            yield await self._sign_of_life(caller)
            now = asyncio.get_running_loop().time
            silent_until = now() + self._heartbeat_seconds
            while True:
                if self._news.over:
                    raise _ending()
                # Before reading: what comes after is news again.
                stirred.clear()
                page = await self._reads.run(operator_id, self._after, operator_id, after)
                for event, deadline in page:
                    self._require(caller)
                    yield self._event(event, deadline)
                    after = event.number
                if now() >= silent_until:
                    # Behind what was read: what it says is known was told before.
                    yield await self._sign_of_life(caller)
                    silent_until = now() + self._heartbeat_seconds
                if not page:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(silent_until - now()):
                            await stirred.wait()

    def _after(self, operator_id: str, after: int) -> Sequence[tuple[RegionEvent, int]]:
        """Return events of an operator after a number, each with the deadline of its removal
        (seconds, UTC): that which is written down, once it is."""
        events = self._events.after(operator_id, after, _PAGE_EVENTS)
        owed = self._removals.owed_for(operator_id, [each.number for each in events])
        return [
            (
                each,
                owed[each.number].deadline
                if each.number in owed
                else each.told_at + self._deadlines.removal_seconds(each.severity),
            )
            for each in events
        ]

    async def _require_known(self, after: int, operator_id: str) -> None:
        if not 0 <= after <= _LAST_NUMBER or (
            after and after > await self._reads.run(operator_id, self._events.newest, operator_id)
        ):
            raise invalid(
                Violation(
                    "after_number",
                    "use the number of an event of this gateway, or 0 for all",
                )
            )

    def _require(self, caller: Caller) -> None:
        authority, now = self._view().authority, self._clock.now()
        require_call(authority, caller.client_id, SCOPE, caller.token_scopes, now)

    async def _sign_of_life(self, caller: Caller) -> pb.WatchRegionRecordsResponse:
        heard = await self._reads.run(caller.operator_id, self._events.heard)
        self._require(caller)
        standing = {region.entity_id for region in self._book.regions()}
        known = {each.entity_id for each in self._view().authority.regions.known.values()}
        regions = (standing | known | heard.keys()) - {self._own}
        now = self._clock.now()
        return pb.WatchRegionRecordsResponse(
            regions=[
                self._heard(region, heard.get(region), region in standing, now)
                for region in sorted(regions)
            ],
            send_time=Timestamp(seconds=now),
        )

    def _heard(self, region: str, heard: Heard | None, stands: bool, now: int) -> pb.RegionHeard:
        message = pb.RegionHeard(region=region)
        if heard is not None and heard.heard_at:
            message.heard_time.seconds = heard.heard_at
            until = heard.heard_at + self._lease_seconds
            if stands and now < until:
                message.known = True
                message.known_until.seconds = until
        return message

    def _event(self, event: RegionEvent, deadline: int) -> pb.WatchRegionRecordsResponse:
        change = event.change
        return pb.WatchRegionRecordsResponse(
            event=pb.RegionRecordEvent(
                number=event.number,
                region=event.region,
                record=f"records/{change.record_id}",
                revision=change.revision,
                kind=DisclosureEventKind.ValueType(change.kind),
                item=change.item,
                event_time=Timestamp(seconds=change.event_time),
                event_sequence=sequence_in(change.event_sequence),
                removal_deadline=Timestamp(seconds=deadline),
            ),
            send_time=Timestamp(seconds=self._clock.now()),
        )


def _ending() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "This process of the gateway ends; take the stream up again from its last number.",
        retry_after=1,
    )
