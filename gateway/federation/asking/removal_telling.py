"""Telling other regions that what they corrected, repaired or withdrew is gone here, and what they
gave under consents that are kept here (guarantee G9).

A region has one word for all operators that it asked for: once each of them that was given what
an event makes void has acknowledged the removal, and no answer from before may come any more, the
region says so as the operator that it is there, by ConformanceService.AcknowledgeRemovals. Of a
consent likewise, by the name that it has there.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Engine, Row, delete, literal, select, tuple_

from consent.regions import GoneUnder, SqlConsentRegions
from gateway.clock import Clock
from gateway.federation.asking.event_concerns import Change, concerned_by, told_of
from gateway.federation.asking.event_tables import REGION_CHANGES
from gateway.federation.asking.region_events import LATE_SECONDS
from gateway.federation.asking.removals import RegionRemovals
from gateway.federation.trust.book import Region, RegionBook
from gateway.storage.background import Failures, Pace, Rounds
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.paging import pages
from gateway.storage.steps import Steps

PACE: Final = Pace(5.0, apart_seconds=5.0, share=0.1)
_CHANGES_AT_ONCE: Final = 500
_CONSENTS_AT_ONCE: Final = 500
_REMOVALS_AT_ONCE: Final = 1_000
_FIRST_PAUSE_SECONDS: Final = 5.0
_LONGEST_PAUSE_SECONDS: Final = 600.0
_C: Final = REGION_CHANGES.c
_Gone = TypeVar("_Gone")


class Gone(NamedTuple):
    """An event of a region by its place (`gateway.federation.asking.event_places`), all copies
    that it makes void gone since ``removed_at`` (seconds, UTC)."""

    event_sequence: int
    removed_at: int


class NotTaken(Exception):
    """The region does not take one: it knows of no removal owed for it, or not of such a time.
    ``others_stand`` tells whether those before it were taken."""

    def __init__(self, place: int, *, others_stand: bool) -> None:
        super().__init__(place)
        self.place = place
        self.others_stand = others_stand


class Past(Protocol[_Gone]):
    """What other regions are to be told. Calls block."""

    def gone(self, now: int) -> Mapping[str, Sequence[_Gone]]:
        """Return by region what it can be told at ``now`` (seconds, UTC)."""
        ...

    def told(
        self, region: str, taken: Sequence[_Gone], not_taken: Sequence[_Gone], now: int
    ) -> None:
        """Keep that a region was told at ``now`` (seconds, UTC), and what it took."""
        ...


Tell = Callable[[Region, Sequence[_Gone]], Awaitable[None]]
"""Tells a region that copies are gone. Raises NotTaken, and what the way there raises."""


class PastChanges:
    """Events of which no answer from before may come any more, and whose region was not told yet
    that all copies are gone. Calls block."""

    def __init__(self, engine: Engine, removals: RegionRemovals) -> None:
        self._engine = engine
        self._removals = removals

    def gone(self, now: int) -> Mapping[str, list[Gone]]:
        """Return by region those events for which nobody owes anything any more at ``now``
        (seconds, UTC)."""
        found: dict[str, list[Gone]] = defaultdict(list)
        self._removals.follow()
        after = ("", 0)
        while some := self._page(after, now):
            heard: dict[str, dict[Change, int]] = defaultdict(dict)
            for region, change, heard_at in some:
                heard[region][change] = heard_at
                after = (region, change.event_sequence)
            for region, of_region in heard.items():
                found[region] += self._gone(region, of_region)
        return {region: gone for region, gone in found.items() if gone}

    def _gone(self, region: str, heard: Mapping[Change, int]) -> Iterator[Gone]:
        places = self._places(region, list(heard))
        gone = self._removals.gone(region, set().union(*places.values()))
        for change, heard_at in heard.items():
            own = places[change]
            if own <= gone.keys():
                times = [at for each in own if (at := gone[each]) is not None]
                # What nobody here was given there was no copy of when it was heard.
                yield Gone(change.event_sequence, max(times, default=heard_at))

    def _places(self, region: str, changes: Sequence[Change]) -> dict[Change, set[int]]:
        """Return of changes the places by which they were told here, and are owed: in the region's
        log and, where that was begun anew, in those before."""
        places = {each: {each.event_sequence} for each in changes}
        with reading(self._engine) as connection:
            concerned = concerned_by(connection, region, changes)
            for each, told_by in told_of(connection, region, concerned).items():
                places[each.change] |= told_by
        return places

    def _page(self, after: tuple[str, int], now: int) -> list[tuple[str, Change, int]]:
        query = (
            select(_C.region, _C.heard_at, *(_C[name] for name in Change._fields))
            .where(
                _C.heard_at <= now - LATE_SECONDS,
                tuple_(_C.region, _C.event_sequence) > tuple_(*map(literal, after)),
            )
            .order_by(_C.region, _C.event_sequence)
            .limit(_CHANGES_AT_ONCE)
        )
        with reading(self._engine) as connection:
            return [_heard(row) for row in connection.execute(query)]

    def told(self, region: str, taken: Sequence[Gone], not_taken: Sequence[Gone], now: int) -> None:
        """Keep that a region was told of these: what it does not wait for it says itself."""
        with bounded(self._engine) as connection:
            for some in pages(each.event_sequence for each in (*taken, *not_taken)):
                connection.execute(
                    delete(REGION_CHANGES).where(_C.region == region, _C.event_sequence.in_(some))
                )


def _heard(row: Row[*tuple[Any, ...]]) -> tuple[str, Change, int]:
    region, heard_at, *change = row
    return region, Change._make(change), heard_at


class PastConsents:
    """What regions gave under consents that are kept here, all copies of which are gone. Calls
    block."""

    def __init__(self, regions: SqlConsentRegions) -> None:
        self._regions = regions

    def gone(self, now: int) -> Mapping[str, list[GoneUnder]]:
        """Return by region what it can be told at ``now`` (seconds, UTC), of some that are due."""
        found: dict[str, list[GoneUnder]] = defaultdict(list)
        for each in self._regions.gone(now, _CONSENTS_AT_ONCE):
            found[each.region].append(each)
        return found

    def told(
        self, region: str, taken: Sequence[GoneUnder], not_taken: Sequence[GoneUnder], now: int
    ) -> None:
        """Keep that a region was told; what it did not take it may know of later."""
        self._regions.told(taken)
        self._regions.unknown(not_taken, now)


class RemovalTeller(Generic[_Gone]):
    """Tells the regions of ``book``; one event loop's own. ``name`` is what the log calls it.

    Where several processes do, a region hears the same again, which changes nothing there. One
    that cannot be told, as it stands no more, is away or grants no such scope, is told later.
    """

    def __init__(
        self, name: str, past: Past[_Gone], tell: Tell[_Gone], book: RegionBook, clock: Clock
    ) -> None:
        self._past = past
        self._say = tell
        self._book = book
        self._clock = clock
        self._failures = Failures("telling removals to other regions")
        self._pauses: dict[str, float] = {}
        self._next: dict[str, float] = {}
        self._steps = Steps(name)
        self._rounds = Rounds(name, self._once, PACE)

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self._steps.name

    def busy_seconds(self) -> float:
        """Return for how long it has been at the step it is at; 0 between steps."""
        return self._steps.busy_seconds()

    async def start(self) -> None:
        """Begin to tell."""
        self._rounds.start()

    async def stop(self) -> None:
        """Tell no more."""
        await self._rounds.stop()
        self._steps.close()

    async def _once(self) -> bool:
        gone = await self._steps.take(partial(self._past.gone, self._clock.now()))
        standing = {region.entity_id: region for region in self._book.regions()}
        now = asyncio.get_running_loop().time()
        due = [each for each in gone if each in standing and now >= self._next.get(each, now)]
        await asyncio.gather(*(self._tell(standing[each], gone[each]) for each in due))
        return False

    async def _tell(self, region: Region, gone: Sequence[_Gone]) -> None:
        entity_id = region.entity_id
        try:
            for start in range(0, len(gone), _REMOVALS_AT_ONCE):
                await self._tell_some(region, gone[start : start + _REMOVALS_AT_ONCE])
        except Exception as error:
            # Whatever it was: nothing is lost, and it is told again.
            self._failures.tell("telling", error)
            pause = self._pauses.get(entity_id, _FIRST_PAUSE_SECONDS)
            self._next[entity_id] = asyncio.get_running_loop().time() + pause
            self._pauses[entity_id] = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        else:
            self._pauses.pop(entity_id, None)
            self._next.pop(entity_id, None)

    async def _tell_some(self, region: Region, gone: Sequence[_Gone]) -> None:
        left, taken, not_taken = list(gone), list[_Gone](), list[_Gone]()
        while left:
            try:
                await self._say(region, left)
                taken += left
                break
            except NotTaken as refused:
                not_taken.append(left.pop(refused.place))
                if refused.others_stand:
                    taken += left[: refused.place]
                    left = left[refused.place :]
        told = partial(self._past.told, region.entity_id, taken, not_taken, self._clock.now())
        await self._steps.take(told)
