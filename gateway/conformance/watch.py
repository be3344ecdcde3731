"""WatchDisclosures: events as they come, in order, none missing, each at least once (G9).

Coverage SERVED is the other half of a duty (`operators.duties`), so it is told whatever the
operator's state and licences; LICENSED needs a licence in force.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import WatchCoverage
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.conformance.event_pages import WatchedEvent
from gateway.conformance.licensed import within_licence
from gateway.conformance.news import DisclosureNews
from gateway.conformance.owing import Deadlines
from gateway.conformance.recent import Told, ToldPage
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.uptime import Awake
from gateway.disclose.tables import NO_END
from gateway.shares import Shares
from operators.model import Licence
from operators.rules import require_call, require_licences

SCOPE: Final = "credit.conformance:watch"
HEARTBEAT_SECONDS: Final = 15
MOST_WATCHERS: Final = 8
"""Most streams of one operator that one process serves at once."""
PAGE_EVENTS: Final = 200
"""Most events read at once for one stream."""
_FRESH_SECONDS: Final = 60
"""So long after an event no outage can have put off what is owed for it."""
_SHORTEST_SECONDS: Final = 1
_LONGEST_SECONDS: Final = 60
_LAST_SEQUENCE: Final = (1 << 63) - 1
_SERVED: Final = WatchCoverage.WATCH_COVERAGE_SERVED
_LICENSED: Final = WatchCoverage.WATCH_COVERAGE_LICENSED


class _Asked(NamedTuple):
    coverage: WatchCoverage.ValueType
    after: int
    heartbeat_seconds: int


class DisclosureWatch:
    """Streams events. ``view`` gives authority as of now and raises Refused without.

    A reader that is slow holds up its own stream alone, at the message it has not read: what
    came meanwhile stays in the store.
    """

    def __init__(
        self,
        news: DisclosureNews,
        duties: RemovalDuties,
        deadlines: Deadlines,
        reads: Shares,
        view: Callable[[], AuthorityView],
        clock: Clock,
        awake: Awake,
        page_events: int = PAGE_EVENTS,
    ) -> None:
        self._news = news
        self._duties = duties
        self._deadlines = deadlines
        self._reads = reads
        self._view = view
        self._clock = clock
        self._awake = awake
        self._page_events = page_events

    async def watch_disclosures(
        self, request: pb.WatchDisclosuresRequest, caller: Caller
    ) -> AsyncGenerator[pb.WatchDisclosuresResponse]:
        """Answer WatchDisclosures: each event after the position, and signs of life.

        What may be told is decided anew for each message (G4). Raises Refused:
        INVALID_REQUEST; RATE_EXCEEDED where the operator has `MOST_WATCHERS` streams;
        TEMPORARILY_UNAVAILABLE where the process ends; the reasons of
        `operators.rules.require_call` and, for LICENSED, of
        `operators.rules.require_licences`.
        """
        asked = _asked(request)
        operator_id = caller.operator_id
        if self._news.watching(operator_id) >= MOST_WATCHERS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"An operator has {MOST_WATCHERS} streams of disclosures open at most; close one.",
                retry_after=1,
            )
        with self._news.of_operator(operator_id, asked.coverage) as news:
            await self._require_known(asked.after, operator_id)
            async with contextlib.aclosing(self._told(asked, caller, news)) as responses:
                async for response in responses:
                    yield response

    async def _told(
        self, asked: _Asked, caller: Caller, news: asyncio.Event
    ) -> AsyncGenerator[pb.WatchDisclosuresResponse]:
        after, now = asked.after, asyncio.get_running_loop().time
        silent_until = now() + asked.heartbeat_seconds
        while True:
            if self._news.over:
                raise _ending()
            # Before reading: what comes after is news again.
            news.clear()
            page = await self._page(asked.coverage, after, caller.operator_id)
            for told in page.told:
                if self._concerns(told, asked.coverage, caller):
                    yield self._event(told, caller.operator_id)
                    silent_until = now() + asked.heartbeat_seconds
            moved, after = page.read_to > after, page.read_to
            if now() >= silent_until:
                self._licences(asked.coverage, caller)
                yield self._sign_of_life(after)
                silent_until = now() + asked.heartbeat_seconds
            if moved:
                # Others' turn, where there is much to read and little to tell.
                await asyncio.sleep(0)
            else:
                await _within(news, silent_until - now())

    async def _page(
        self, coverage: WatchCoverage.ValueType, after: int, operator_id: str
    ) -> ToldPage:
        recent = self._news.after(coverage, after, self._page_events)
        fresh = self._clock.now() - _FRESH_SECONDS
        if recent is not None and not any(
            operator_id in each.consents or (operator_id in each.owing and each.event.at < fresh)
            for each in recent.told
        ):
            return recent
        # What consents opened may have been removed since the event was first told, and what is
        # owed for it put off.
        return await self._reads.run(operator_id, self._older, coverage, after, operator_id)

    def _older(self, coverage: WatchCoverage.ValueType, after: int, operator_id: str) -> ToldPage:
        self._awake.wake(self._clock.now())
        page = self._news.older(coverage, after, self._page_events, operator_id)
        # By the duties, which were fixed with the event, whatever copies there are by now.
        owed = self._duties.owing(
            operator_id, {each.event.sequence for each in page.told if each.event.voided}
        )
        return page._replace(
            told=[_owed(each, operator_id, owed.get(each.event.sequence)) for each in page.told]
        )

    async def _require_known(self, after: int, operator_id: str) -> None:
        if after and after > await self._reads.run(operator_id, self._news.head):
            raise invalid(
                Violation(
                    "after_sequence",
                    "no such event here: was the position another gateway's, or this one set"
                    " back? Ask the administrator, or begin at 0",
                )
            )

    def _licences(self, coverage: WatchCoverage.ValueType, caller: Caller) -> Sequence[Licence]:
        """Return the licences whose items may be told of. Raises Refused where nothing may."""
        authority, now = self._view().authority, self._clock.now()
        require_call(authority, caller.client_id, SCOPE, caller.token_scopes, now)
        if coverage == _SERVED:
            return ()
        return require_licences(authority, caller.client_id, now)

    def _concerns(self, told: Told, coverage: WatchCoverage.ValueType, caller: Caller) -> bool:
        licences = self._licences(coverage, caller)
        if coverage == _SERVED:
            return caller.operator_id in told.served
        return self._is_public(told.event) and within_licence(
            told.event, licences, caller.details, self._clock.now()
        )

    def _is_public(self, event: WatchedEvent) -> bool:
        item = self._view().catalogue.get(event.item)
        return item is not None and item.openness == Openness.OPENNESS_PUBLIC

    def _event(self, told: Told, operator_id: str) -> pb.WatchDisclosuresResponse:
        event = told.event
        response = self._sign_of_life(event.sequence)
        message = response.event
        message.event_sequence = event.sequence
        message.kind = event.kind
        message.record = f"records/{event.record_id}"
        message.revision = event.revision
        message.item = event.item
        message.event_time.seconds = event.at
        # A digest would let contents be guessed: of what only a consent opens, and of what is not
        # disclosed yet.
        if self._is_public(event) and event.disclosed_from <= self._clock.now():
            message.content_digest = event.digest
            message.disclosed_from.seconds = event.disclosed_from
            if event.disclosed_until != NO_END:
                message.disclosed_until.seconds = event.disclosed_until
        if operator_id in told.owing:
            written = told.deadline
            response.removal_deadline.seconds = (
                event.at + self._deadlines.removal_seconds(event.severity)
                if written is None
                else written
            )
        return response

    def _sign_of_life(self, position: int) -> pb.WatchDisclosuresResponse:
        return pb.WatchDisclosuresResponse(
            disclosure_sequence=position, send_time=Timestamp(seconds=self._clock.now())
        )


def _owed(told: Told, operator_id: str, deadline: int | None) -> Told:
    """Return what an operator is told of an event whose removal it owes by a deadline, None
    where it owes none."""
    if deadline is None:
        return told._replace(owing=frozenset())
    own = frozenset({operator_id})
    return told._replace(served=told.served | own, owing=own, deadline=deadline)


def _asked(request: pb.WatchDisclosuresRequest) -> _Asked:
    """Return what a request asks for; raises Refused INVALID_REQUEST."""
    found: list[Violation] = []
    if request.coverage not in (_SERVED, _LICENSED):
        found.append(Violation("coverage", "use SERVED or LICENSED"))
    if not 0 <= request.after_sequence <= _LAST_SEQUENCE:
        found.append(Violation("after_sequence", "use the position of an event, or 0"))
    heartbeat = HEARTBEAT_SECONDS
    if request.HasField("heartbeat_interval"):
        heartbeat = request.heartbeat_interval.seconds
        if not _is_heartbeat(request.heartbeat_interval):
            found.append(
                Violation(
                    "heartbeat_interval",
                    f"use whole seconds, {_SHORTEST_SECONDS} to {_LONGEST_SECONDS}",
                )
            )
    if found:
        raise invalid(*found)
    return _Asked(request.coverage, request.after_sequence, heartbeat)


def _is_heartbeat(interval: Duration) -> bool:
    return not interval.nanos and _SHORTEST_SECONDS <= interval.seconds <= _LONGEST_SECONDS


def _ending() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "This process of the gateway ends; take the stream up again from its last position.",
        retry_after=1,
    )


async def _within(news: asyncio.Event, seconds: float) -> None:
    """Return once ``news`` came, or after so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
