"""The follower: hears from each region that stands what became of the records it served.

One process of the installation follows. Each stream goes on from the place kept in the store, so
nothing is missed however it breaks, and whatever ends this process. Where the region has begun its
log anew, that is heard from its beginning.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import monotonic
from typing import Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import Engine

from creditgate.v1.conformance_service_pb2 import WatchDisclosuresResponse
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.clock import Clock
from gateway.ending import end
from gateway.federation.asking.event_concerns import Change
from gateway.federation.asking.event_places import (
    LAST_SEQUENCE,
    UNNAMED_LOG,
    log_in,
    log_of,
    place,
    sequence_in,
)
from gateway.federation.asking.region_events import SqlRegionEvents
from gateway.federation.trust.book import Region, RegionBook
from gateway.storage.background import Failures, NotNow, Pace, Rounds
from gateway.storage.steps import Steps
from gateway.storage.turn import REGION_EVENTS, open_turn

Responses = AsyncIterator[WatchDisclosuresResponse]

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_STANDBY_SECONDS: Final = 0.5
_HEARTBEATS_A_LEASE: Final = 5
_LONGEST_HEARTBEAT_SECONDS: Final = 5
_WAITING: Final = 1_000
_AT_ONCE: Final = 500
_PACE: Final = Pace(0.5)
_LAST_REVISION: Final = (1 << 31) - 1
_RECORDS: Final = "records/"
_MOST_RECORD_ID: Final = 128
_MOST_ITEM: Final = 64
_LAST_SECOND: Final = 253_402_300_799
_LAST_KIND: Final = (1 << 15) - 1
_PUBLISHED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
_Read = TypeVar("_Read")


class Ways(Protocol):
    """The way to other regions' gateways."""

    def watch(
        self, region: Region, after: int, heartbeat_seconds: int
    ) -> AbstractAsyncContextManager[Responses]:
        """Open the stream of what became of records that a region served, behind a position;
        raises what the way there raises."""
        ...


class _Come(NamedTuple):
    """A message and when it came (seconds, UTC)."""

    response: WatchDisclosuresResponse
    at: int


class RegionEventFollower:
    """Follows the regions of ``book``; one event loop's own.

    ``engine`` is the store that the turn is taken at. A stream that is silent for as long as a
    lease is taken up anew, so that no message counts that was on its way for longer.
    """

    def __init__(
        self,
        engine: Engine,
        events: SqlRegionEvents,
        ways: Ways,
        book: RegionBook,
        clock: Clock,
        lease_seconds: float,
    ) -> None:
        self._events = events
        self._ways = ways
        self._book = book
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = min(
            max(1, int(lease_seconds / _HEARTBEATS_A_LEASE)), _LONGEST_HEARTBEAT_SECONDS
        )
        self._turn = open_turn(engine, REGION_EVENTS)
        self._ask_at = self._mark_at = float("-inf")
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._logs: dict[str, int] = {}
        self._heard: dict[str, tuple[int, int]] = {}
        # One thread: numbers of an operator's events are given one after the other.
        self._steps = Steps("region-events")
        self._rounds = Rounds("region-events", self._once, _PACE)

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self._steps.name

    def busy_seconds(self) -> float:
        """Return for how long it has been at the step it is at; 0 between steps."""
        return self._steps.busy_seconds()

    async def start(self) -> None:
        """Begin to follow."""
        self._rounds.start()

    async def stop(self) -> None:
        """End all streams, and leave the turn to others."""
        await self._rounds.stop()
        await self._end(set(self._streams))
        await self._steps.take(self._turn.give_up)
        self._steps.close()

    async def _once(self) -> bool:
        if monotonic() < self._ask_at:
            raise NotNow
        if not await self._steps.take(self._turn.taken):
            self._ask_at = monotonic() + _STANDBY_SECONDS
            await self._end(set(self._streams))
            raise NotNow
        standing = {region.entity_id: log_of(region) for region in self._book.regions()}
        await self._end({each for each, log in self._logs.items() if standing.get(each) != log})
        await self._end(self._streams.keys() - standing.keys())
        for region in standing.keys() - self._streams.keys():
            self._streams[region] = asyncio.create_task(self._follow(region), name="region-events")
        if self._heard and monotonic() >= self._mark_at:
            heard, self._heard = self._heard, {}
            await self._steps.take(partial(self._events.mark, heard))
            self._mark_at = monotonic() + self._heartbeat_seconds / 2
        await self._steps.take(partial(self._events.tell_late, self._clock.now()))
        return False

    async def _end(self, regions: set[str]) -> None:
        for region in regions:
            stream = self._streams.pop(region)
            self._logs.pop(region, None)
            await end(stream)

    async def _follow(self, entity_id: str) -> None:
        """Follow one region until cancelled."""
        task = asyncio.current_task()
        assert task is not None, "regions are followed by tasks"
        failures = Failures("following records of another region")
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = monotonic()
            try:
                await self._stream(entity_id)
            except asyncio.CancelledError as error:
                # A channel that is closed cancels its calls, and so whoever reads them.
                if task.cancelling():
                    raise
                failures.tell("a stream", ConnectionError(str(error)))
            except Exception as error:
                # Whatever it was: what is not heard is told as not known, and it is tried again.
                failures.tell("a stream", error)
            if monotonic() - began > _LONGEST_PAUSE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _stream(self, entity_id: str) -> None:
        loop = asyncio.get_running_loop()
        region = self._book.region(entity_id)
        log = self._logs[entity_id] = log_of(region)
        after = await self._begun(entity_id, log)
        come: asyncio.Queue[_Come] = asyncio.Queue(_WAITING)
        writing = asyncio.create_task(
            self._write(entity_id, log, after, come), name="region-events"
        )
        try:
            async with (
                asyncio.timeout(self._lease_seconds) as silence,
                self._ways.watch(region, after, self._heartbeat_seconds) as responses,
            ):
                async for response in responses:
                    silence.reschedule(loop.time() + self._lease_seconds)
                    if writing.done():
                        break
                    await come.put(_Come(response, self._clock.now()))
        finally:
            await end(writing)

    async def _begun(self, entity_id: str, log: int) -> int:
        """Return the position in its log from which a region is heard on."""
        known = (await self._steps.take(self._events.heard)).get(entity_id)
        if known is not None and log_in(known.event_sequence) == log:
            return sequence_in(known.event_sequence)
        # An earlier version kept positions alone: they are taken for those of this log.
        anew = known is not None and log_in(known.event_sequence) != UNNAMED_LOG
        after = 0 if known is None or anew else sequence_in(known.event_sequence)
        begin = partial(self._events.begin, entity_id, place(log, after), anew=anew)
        await self._steps.take(begin)
        return after

    async def _write(
        self, entity_id: str, log: int, after: int, come: "asyncio.Queue[_Come]"
    ) -> None:
        """Keep what comes, as much as there is at once; ends by what it raises."""
        while True:
            some = [await come.get()]
            while len(some) < _AT_ONCE and not come.empty():
                some.append(come.get_nowait())
            changes: list[Change] = []
            for response, _ in some:
                position, change = _read(response, log, after)
                after = position
                if change is not None:
                    changes.append(change)
            at, read_to = some[-1].at, place(log, after)
            if changes:
                await self._steps.take(partial(self._events.take, entity_id, changes, read_to, at))
                self._heard.pop(entity_id, None)
            else:
                self._heard[entity_id] = (read_to, at)


def _read(response: WatchDisclosuresResponse, log: int, after: int) -> tuple[int, Change | None]:
    """Return the position in ``log`` that a message leads to, and the change it tells.

    Raises ValueError for one that no region would send.
    """
    event, position = response.event, response.disclosure_sequence
    if not after <= position <= LAST_SEQUENCE:
        raise ValueError("a position behind the last one")
    if not response.HasField("event"):
        return position, None
    change = Change(
        place(log, event.event_sequence),
        event.record.removeprefix(_RECORDS),
        event.revision,
        event.kind,
        event.item,
        event.event_time.seconds,
    )
    if not (
        after < event.event_sequence == position
        and event.record.startswith(_RECORDS)
        and 0 < len(change.record_id) <= _MOST_RECORD_ID
        and 0 < change.kind <= _LAST_KIND
        and 0 < change.revision <= _LAST_REVISION
        and len(change.item) <= _MOST_ITEM
        and 0 <= change.event_time <= _LAST_SECOND
    ):
        raise ValueError("an event that is none")
    # What only a newer region knows the kind of may make a copy void.
    return position, None if change.kind == _PUBLISHED else change
