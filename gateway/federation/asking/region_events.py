"""What became of other regions' records that operators of this one were given (guarantee G9).

A region tells this one of each event about a record that it served it. Whom it concerns is known
here alone, from `region_uses`: every operator that was given a revision which the event replaces
or ends. Who was given it under consents alone and has said that nothing of that is held any more
is told nothing of it, and owes nothing for it. An answer may be on its way when its records are
repaired, and be kept after the event was heard; so for a while each event is held against what was
kept since, too. It is forgotten once its region was told that all copies are gone.

A region that was put back begins its log anew, and is heard from the beginning of that: what was
told of before is not told again. Where this region itself was put back, its operators have heard
numbers that its store does not know, so those it gives go on above them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, bindparam, func, select, update

from gateway.federation.asking.event_concerns import (
    Change,
    Concerned,
    concerned_by,
    still_held,
    told_of,
)
from gateway.federation.asking.event_places import log_in
from gateway.federation.asking.event_tables import (
    REGION_CHANGES,
    REGION_EVENTS,
    REGIONS_HEARD,
)
from gateway.federation.asking.kept_under import KeptUnder
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.storage.paging import pages

LATE_SECONDS: Final = 600
"""How long after an event an answer from before it may still be kept: ten times as long as a
region may take to answer."""

_ROWS_A_STATEMENT: Final = 500
# Whose copies an event is about is looked for between two statements, for as long as it takes.
_IDLE_SECONDS: Final = 120

_EVENTS: Final = select(
    *(REGION_EVENTS.c[name] for name in ("number", "region", "told_at", "severity")),
    *(REGION_EVENTS.c[name] for name in Change._fields),
)

_HEARD: Final = select(REGIONS_HEARD)
_AFTER: Final = (
    _EVENTS.where(
        REGION_EVENTS.c.operator_id == bindparam("operator"),
        REGION_EVENTS.c.number > bindparam("after"),
    )
    .order_by(REGION_EVENTS.c.number)
    .limit(bindparam("most"))
)


class RegionEvent(NamedTuple):
    """An event for one operator, ``number`` among all of its own, told at ``told_at`` (seconds,
    UTC); ``severity`` is the gravest of the revisions it makes void."""

    number: int
    region: str
    change: Change
    told_at: int
    severity: int


class Heard(NamedTuple):
    """How far a region's events are known: up to the place ``event_sequence``, as of ``heard_at``
    (seconds, UTC, 0 for never); ``told`` counts what operators were told of it."""

    event_sequence: int
    heard_at: int
    told: int


class AnotherLog(ValueError):
    """What a region told is of another log than the one it is heard by now."""


class SqlRegionEvents:
    """Keeps events of other regions, on SQLite and PostgreSQL. Calls block; any thread.

    One process writes at a time. Where two did, one of them would fail and write nothing: each
    number of an operator is given once. Numbers are given above ``floor``, up to which operators
    may have heard some that this store does not know.
    """

    def __init__(self, engine: Engine, floor: Callable[[], int] = lambda: 0) -> None:
        self._engine = engine
        self._floor = floor
        self._under = KeptUnder(engine)

    def heard(self) -> Mapping[str, Heard]:
        """Return how far the events of each region are known that was ever heard."""
        with reading(self._engine) as connection:
            rows = connection.execute(_HEARD).all()
        return {row.region: Heard(row.event_sequence, row.heard_at, row.told) for row in rows}

    def after(self, operator_id: str, number: int, limit: int) -> list[RegionEvent]:
        """Return the next ``limit`` events of an operator after a number."""
        asked = {"operator": operator_id, "after": number, "most": limit}
        with reading(self._engine) as connection:
            return [_event(row) for row in connection.execute(_AFTER, asked)]

    def of_records(self, operator_id: str, record_ids: Iterable[str]) -> list[RegionEvent]:
        """Return the events an operator was told about records, of whatever region, in order."""
        events = REGION_EVENTS.c
        own = _EVENTS.where(events.operator_id == operator_id)
        with reading(self._engine) as connection:
            found = [
                _event(row)
                for some in pages(record_ids)
                for row in connection.execute(own.where(events.record_id.in_(some)))
            ]
        return sorted(found, key=lambda each: each.number)

    def told(self) -> Mapping[str, int]:
        """Return the number of the newest event of each operator that was told any."""
        events = REGION_EVENTS.c
        query = select(events.operator_id, func.max(events.number)).group_by(events.operator_id)
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def newest(self, operator_id: str) -> int:
        """Return the newest number that an operator may have heard, 0 before the first."""
        floor = self._floor()
        with reading(self._engine) as connection:
            return max(floor, _newest(connection, [operator_id]).get(operator_id, 0))

    def begin(self, region: str, at: int, *, anew: bool) -> None:
        """Hear a region from a place on, by the log of that; ``anew`` where the one before was
        another: then nothing is known of the region until it is heard again."""
        values = {"event_sequence": at} | ({"heard_at": 0} if anew else {})
        with bounded(self._engine) as connection:
            _locked(connection, region)
            own = update(REGIONS_HEARD).where(REGIONS_HEARD.c.region == region)
            connection.execute(own.values(values))

    def take(self, region: str, changes: Sequence[Change], read_to: int, now: int) -> None:
        """Keep what a region told: ``changes`` in order, which are all that concern this region
        up to ``read_to``. In one transaction with the place; what was taken before is not
        taken again. Raises AnotherLog."""
        floor = self._floor()
        with bounded(self._engine, _IDLE_SECONDS, LONG_SECONDS) as connection:
            known = _locked(connection, region)
            if log_in(known.event_sequence) != log_in(read_to):
                raise AnotherLog("it is of another log than the one it is heard by")
            new = [each for each in changes if each.event_sequence > known.event_sequence]
            concerned = concerned_by(connection, region, new)
            told = told_of(connection, region, concerned)
            rows = [{**each._asdict(), "region": region, "heard_at": now} for each in new]
            if rows:
                connection.execute(REGION_CHANGES.insert(), rows)
            untold = [each for each in concerned if each not in told]
            held = still_held(connection, self._under, region, untold)
            count = _tell(connection, region, held, now, floor)
            _mark(connection, region, max(known.event_sequence, read_to), now, count)

    def mark(self, heard: Mapping[str, tuple[int, int]]) -> None:
        """Keep how far the events of regions were heard without news: up to which place, and
        when (seconds, UTC). Of a region that is heard by another log by now nothing is kept."""
        with bounded(self._engine) as connection:
            for region, (read_to, at) in sorted(heard.items()):
                known = _locked(connection, region)
                if log_in(known.event_sequence) == log_in(read_to):
                    _mark(connection, region, max(known.event_sequence, read_to), at, 0)

    def tell_late(self, now: int) -> None:
        """Tell the events of the last `LATE_SECONDS` to those who were given their records after
        they were heard."""
        changes, floor = REGION_CHANGES.c, self._floor()
        lately = changes.heard_at > now - LATE_SECONDS
        with reading(self._engine) as connection:
            if connection.execute(select(changes.region).where(lately).limit(1)).first() is None:
                return
        with bounded(self._engine, _IDLE_SECONDS, LONG_SECONDS) as connection:
            query = select(changes.region, *(changes[name] for name in Change._fields))
            query = query.where(lately)
            found: dict[str, list[Change]] = defaultdict(list)
            for row in connection.execute(query.order_by(changes.region, changes.event_sequence)):
                found[row.region].append(Change._make(row[1:]))
            for region, some in found.items():
                concerned = concerned_by(connection, region, some)
                told = told_of(connection, region, concerned)
                late = [each for each in concerned if each not in told]
                held = still_held(connection, self._under, region, late)
                if count := _tell(connection, region, held, now, floor):
                    known = _locked(connection, region)
                    _mark(connection, region, known.event_sequence, known.heard_at, count)


def _event(row: Row[*tuple[Any, ...]]) -> RegionEvent:
    number, region, told_at, severity, *change = row
    return RegionEvent(number, region, Change._make(change), told_at, severity)


def _locked(connection: Connection, region: str) -> Heard:
    """Return how far a region is known, nobody else writing of it until the transaction ends."""
    adding = (
        INSERT[connection.dialect.name](REGIONS_HEARD)
        .values(region=region, event_sequence=0, heard_at=0, told=0)
        .on_conflict_do_nothing()
    )
    connection.execute(adding)
    query = select(REGIONS_HEARD).where(REGIONS_HEARD.c.region == region).with_for_update()
    row = connection.execute(query).one()
    return Heard(row.event_sequence, row.heard_at, row.told)


def _mark(connection: Connection, region: str, read_to: int, at: int, told: int) -> None:
    connection.execute(
        update(REGIONS_HEARD)
        .where(REGIONS_HEARD.c.region == region)
        .values(event_sequence=read_to, heard_at=at, told=REGIONS_HEARD.c.told + told)
    )


def _tell(
    connection: Connection, region: str, held: Mapping[Concerned, int], now: int, floor: int
) -> int:
    """Write changes for operators that were not told of them, by how grave they are; return how
    many."""
    numbers = _newest(connection, {each.operator_id for each in held})
    rows: list[dict[str, Any]] = []
    for (operator_id, change), severity in held.items():
        number = numbers[operator_id] = max(floor, numbers.get(operator_id, 0)) + 1
        own = {"operator_id": operator_id, "number": number}
        told = {"region": region, "told_at": now, "severity": severity}
        rows.append({**change._asdict(), **own, **told})
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        connection.execute(REGION_EVENTS.insert(), rows[start : start + _ROWS_A_STATEMENT])
    return len(rows)


def _newest(connection: Connection, operators: Iterable[str]) -> dict[str, int]:
    events = REGION_EVENTS.c
    found: dict[str, int] = {}
    for some in pages(operators):
        query = (
            select(events.operator_id, func.max(events.number))
            .where(events.operator_id.in_(some))
            .group_by(events.operator_id)
        )
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found
