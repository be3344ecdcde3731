"""Telling other regions that what they corrected, repaired or withdrew is gone here (guarantee G9).

A region has one word for all operators that it asked for: once each of them that was given what
an event makes void has acknowledged the removal, and no answer from before may come any more, the
region says so as the operator that it is there, by ConformanceService.AcknowledgeRemovals.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import Engine, delete, literal, select, tuple_

from gateway.clock import Clock
from gateway.federation.asking.event_tables import REGION_CHANGES
from gateway.federation.asking.region_events import LATE_SECONDS
from gateway.federation.asking.removals import RegionRemovals
from gateway.federation.trust.book import Region, RegionBook
from gateway.storage.background import Failures, Pace, Rounds
from gateway.storage.engines import reading
from gateway.storage.paging import pages
from gateway.storage.steps import Steps

PACE: Final = Pace(5.0, apart_seconds=5.0, share=0.1)
_CHANGES_AT_ONCE: Final = 500
_REMOVALS_AT_ONCE: Final = 1_000
_FIRST_PAUSE_SECONDS: Final = 5.0
_LONGEST_PAUSE_SECONDS: Final = 600.0
_C: Final = REGION_CHANGES.c
_Read = TypeVar("_Read")


class Gone(NamedTuple):
    """An event of a region by its place in its log, all copies that it makes void gone since
    ``removed_at`` (seconds, UTC)."""

    event_sequence: int
    removed_at: int


class NotOwed(Exception):
    """The region knows of no removal owed for one: those before it were taken."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class Ways(Protocol):
    """The way to other regions' gateways."""

    async def acknowledge(self, region: Region, gone: Sequence[Gone]) -> None:
        """Tell a region that copies are gone. Raises NotOwed, and what the way there raises."""
        ...


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
            heard: dict[str, dict[int, int]] = defaultdict(dict)
            for region, sequence, heard_at in some:
                heard[region][sequence] = heard_at
                after = (region, sequence)
            for region, of_region in heard.items():
                for sequence, removed_at in self._removals.gone(region, of_region).items():
                    # What nobody here was given there was no copy of when it was heard.
                    at = of_region[sequence] if removed_at is None else removed_at
                    found[region].append(Gone(sequence, at))
        return found

    def _page(self, after: tuple[str, int], now: int) -> list[tuple[str, int, int]]:
        query = (
            select(_C.region, _C.event_sequence, _C.heard_at)
            .where(
                _C.heard_at <= now - LATE_SECONDS,
                tuple_(_C.region, _C.event_sequence) > tuple_(*map(literal, after)),
            )
            .order_by(_C.region, _C.event_sequence)
            .limit(_CHANGES_AT_ONCE)
        )
        with reading(self._engine) as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def told(self, region: str, sequences: Iterable[int]) -> None:
        """Keep that a region was told of these."""
        with self._engine.begin() as connection:
            for some in pages(sequences):
                connection.execute(
                    delete(REGION_CHANGES).where(_C.region == region, _C.event_sequence.in_(some))
                )


class RemovalTeller:
    """Tells the regions of ``book``; one event loop's own.

    Where several processes do, a region hears the same again, which changes nothing there. One
    that cannot be told, as it stands no more, is away or grants no such scope, is told later.
    """

    def __init__(self, changes: PastChanges, ways: Ways, book: RegionBook, clock: Clock) -> None:
        self._changes = changes
        self._ways = ways
        self._book = book
        self._clock = clock
        self._failures = Failures("telling removals to other regions")
        self._pauses: dict[str, float] = {}
        self._next: dict[str, float] = {}
        self._steps = Steps("removal-telling")
        self._rounds = Rounds("removal-telling", self._once, PACE)

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
        gone = await self._steps.take(partial(self._changes.gone, self._clock.now()))
        standing = {region.entity_id: region for region in self._book.regions()}
        now = asyncio.get_running_loop().time()
        due = [each for each in gone if each in standing and now >= self._next.get(each, now)]
        await asyncio.gather(*(self._tell(standing[each], gone[each]) for each in due))
        return False

    async def _tell(self, region: Region, gone: Sequence[Gone]) -> None:
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

    async def _tell_some(self, region: Region, gone: Sequence[Gone]) -> None:
        left = gone
        while left:
            try:
                await self._ways.acknowledge(region, left)
                left = ()
            except NotOwed as refused:
                # It says itself that it waits for none.
                left = left[refused.place + 1 :]
        sequences = [each.event_sequence for each in gone]
        await self._steps.take(partial(self._changes.told, region.entity_id, sequences))
