"""What became of other regions' records that operators of this one were given (guarantee G9).

A region tells this one of each event about a record that it served it. Whom it concerns is known
here alone, from `region_uses`: every operator that was given a revision which the event replaces
or ends. An answer may be on its way when its records are repaired, and be kept after the event
was heard; so for a while each event is held against what was kept since, too. It is forgotten once
its region was told that all copies are gone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.federation.asking.event_tables import (
    REGION_CHANGES,
    REGION_EVENTS,
    REGIONS_HEARD,
)
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.storage.engines import reading
from gateway.storage.paging import pages

LATE_SECONDS: Final = 600
"""How long after an event an answer from before it may still be kept: ten times as long as a
region may take to answer."""

_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
CORRECTED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
_ROWS_A_STATEMENT: Final = 500


class Change(NamedTuple):
    """An event of a region's disclosure log that is no publication; ``event_time`` in seconds,
    UTC, by the region."""

    event_sequence: int
    record_id: str
    revision: int
    kind: int
    item: str
    event_time: int


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
    """How far a region's events are known: up to ``event_sequence``, as of ``heard_at``
    (seconds, UTC); ``told`` counts what operators were told of it."""

    event_sequence: int
    heard_at: int
    told: int


class SqlRegionEvents:
    """Keeps events of other regions, on SQLite and PostgreSQL. Calls block; any thread.

    One process writes at a time. Where two did, one of them would fail and write nothing: each
    number of an operator is given once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
        """Return the number of an operator's newest event, 0 before the first."""
        with reading(self._engine) as connection:
            return _newest(connection, [operator_id]).get(operator_id, 0)

    def take(self, region: str, changes: Sequence[Change], read_to: int, now: int) -> None:
        """Keep what a region told: ``changes`` in order, which are all that concern this region
        up to ``read_to``. In one transaction with the position; what was taken before is not
        taken again."""
        with self._engine.begin() as connection:
            known = _locked(connection, region)
            new = [each for each in changes if each.event_sequence > known.event_sequence]
            if new:
                rows = [{**each._asdict(), "region": region, "heard_at": now} for each in new]
                connection.execute(REGION_CHANGES.insert(), rows)
            told = _tell(connection, region, new, now)
            _mark(connection, region, max(known.event_sequence, read_to), now, told)

    def mark(self, heard: Mapping[str, tuple[int, int]]) -> None:
        """Keep how far the events of regions were heard without news: up to which position, and
        when (seconds, UTC)."""
        with self._engine.begin() as connection:
            for region, (read_to, at) in sorted(heard.items()):
                known = _locked(connection, region)
                _mark(connection, region, max(known.event_sequence, read_to), at, 0)

    def tell_late(self, now: int) -> None:
        """Tell the events of the last `LATE_SECONDS` to those who were given their records after
        they were heard."""
        changes = REGION_CHANGES.c
        lately = changes.heard_at > now - LATE_SECONDS
        with reading(self._engine) as connection:
            if connection.execute(select(changes.region).where(lately).limit(1)).first() is None:
                return
        with self._engine.begin() as connection:
            query = select(changes.region, *(changes[name] for name in Change._fields))
            query = query.where(lately)
            found: dict[str, list[Change]] = defaultdict(list)
            for row in connection.execute(query.order_by(changes.region, changes.event_sequence)):
                found[row.region].append(Change._make(row[1:]))
            for region, some in found.items():
                told = _tell(connection, region, some, now)
                if told:
                    known = _locked(connection, region)
                    _mark(connection, region, known.event_sequence, known.heard_at, told)


def _event(row: Row[*tuple[Any, ...]]) -> RegionEvent:
    number, region, told_at, severity, *change = row
    return RegionEvent(number, region, Change._make(change), told_at, severity)


def _locked(connection: Connection, region: str) -> Heard:
    """Return how far a region is known, nobody else writing of it until the transaction ends."""
    adding = (
        _INSERT[connection.dialect.name](REGIONS_HEARD)
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


def _tell(connection: Connection, region: str, changes: Sequence[Change], now: int) -> int:
    """Write changes for the operators they concern that were not told yet; return how many."""
    given = _given(connection, region, {each.record_id for each in changes})
    concerned = [
        (operator_id, change, max(void.values()))
        for change in changes
        for operator_id, revisions in sorted(given.get(change.record_id, {}).items())
        if (void := {each: grade for each, grade in revisions.items() if ends(change, each)})
    ]
    operators = {operator_id for operator_id, _, _ in concerned}
    known = _known(connection, region, operators, [each.event_sequence for each in changes])
    numbers = _newest(connection, operators)
    rows: list[dict[str, Any]] = []
    for operator_id, change, severity in concerned:
        if (operator_id, change.event_sequence) not in known:
            numbers[operator_id] = numbers.get(operator_id, 0) + 1
            own = {"operator_id": operator_id, "number": numbers[operator_id]}
            told = {"region": region, "told_at": now, "severity": severity}
            rows.append({**change._asdict(), **own, **told})
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        connection.execute(REGION_EVENTS.insert(), rows[start : start + _ROWS_A_STATEMENT])
    return len(rows)


def ends(change: Change, revision: int) -> bool:
    """Tell whether a change makes void a revision of its record."""
    if change.kind == CORRECTED:
        return revision < change.revision
    return revision <= change.revision


def _given(
    connection: Connection, region: str, record_ids: Collection[str]
) -> Mapping[str, Mapping[str, Mapping[int, int]]]:
    """Return of each record the operators that a region gave it, each with the revisions and how
    grave they are: a Severity, unspecified where that was not kept."""
    uses = REGION_USES.c
    found: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for some in pages(record_ids):
        query = (
            select(
                uses.record_id,
                uses.operator_id,
                uses.revision,
                func.coalesce(func.max(uses.severity), 0),
            )
            .where(
                uses.region == region,
                uses.record_id.in_(some),
                uses.subject != NOT_PASSED_ON,
            )
            .group_by(uses.record_id, uses.operator_id, uses.revision)
        )
        for record_id, operator_id, revision, severity in connection.execute(query):
            found[record_id][operator_id][revision] = severity
    return found


def _known(
    connection: Connection, region: str, operators: Collection[str], sequences: Sequence[int]
) -> set[tuple[str, int]]:
    """Return which of these events operators were told."""
    events = REGION_EVENTS.c
    known: set[tuple[str, int]] = set()
    for some in pages(operators):
        query = select(events.operator_id, events.event_sequence).where(
            events.operator_id.in_(some),
            events.region == region,
            events.event_sequence.between(min(sequences), max(sequences)),
        )
        known.update((row.operator_id, row.event_sequence) for row in connection.execute(query))
    return known


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
