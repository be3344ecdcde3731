"""Whom events of other regions concern, and who was told of them; within a transaction of the
caller's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.federation.asking.event_places import log_in
from gateway.federation.asking.event_tables import REGION_EVENTS
from gateway.federation.asking.kept_under import GIVEN, KeptUnder
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.storage.paging import pages

CORRECTED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
_ByRecord = dict[str, dict[str, dict[int, int]]]


class Change(NamedTuple):
    """An event of a region's disclosure log that is no publication; ``event_sequence`` is its
    place (`gateway.federation.asking.event_places`), ``event_time`` in seconds, UTC, by the
    region."""

    event_sequence: int
    record_id: str
    revision: int
    kind: int
    item: str
    event_time: int


class Concerned(NamedTuple):
    """An operator that a change concerns: it was given what the change makes void."""

    operator_id: str
    change: Change


def ends(change: Change, revision: int) -> bool:
    """Tell whether a change makes void a revision of its record."""
    if change.kind == CORRECTED:
        return revision < change.revision
    return revision <= change.revision


def concerned_by(connection: Connection, region: str, changes: Sequence[Change]) -> list[Concerned]:
    """Return whom changes concern, in their order."""
    given = _given(connection, region, {each.record_id for each in changes})
    return [
        Concerned(operator_id, change)
        for change in changes
        for operator_id, revisions in sorted(given.get(change.record_id, {}).items())
        if _void(change, revisions)
    ]


def told_of(
    connection: Connection, region: str, concerned: Collection[Concerned]
) -> Mapping[Concerned, set[int]]:
    """Return those who were told of a change already, each with the places it was told by: its own,
    or those it had in logs of the region before this one."""
    events = REGION_EVENTS.c
    wanted: dict[tuple[object, ...], list[Concerned]] = defaultdict(list)
    for each in concerned:
        wanted[each.operator_id, *each.change[1:]].append(each)
    known: dict[Concerned, set[int]] = defaultdict(set)
    query = select(events.operator_id, *(events[name] for name in Change._fields))
    for operators in pages({each.operator_id for each in concerned}):
        for records in pages({each.change.record_id for each in concerned}):
            rows = connection.execute(
                query.where(
                    events.operator_id.in_(operators),
                    events.region == region,
                    events.record_id.in_(records),
                )
            )
            for row in rows:
                at = row.event_sequence
                for each in wanted.get((row.operator_id, *row[2:]), ()):
                    own = each.change.event_sequence
                    if at == own or log_in(at) != log_in(own):
                        known[each].add(at)
    return known


def still_held(
    connection: Connection, under: KeptUnder, region: str, concerned: Iterable[Concerned]
) -> Mapping[Concerned, int]:
    """Return those whose copies are not all gone by their own word, in order, each with how grave
    the gravest revision is that the change makes void."""
    some = list(concerned)
    held = _held(connection, under, region, {each.change.record_id for each in some})
    found: dict[Concerned, int] = {}
    for each in some:
        of_record = held.get(each.change.record_id, {})
        if void := _void(each.change, of_record.get(each.operator_id, {})):
            found[each] = max(void)
    return found


def _void(change: Change, revisions: Mapping[int, int]) -> list[int]:
    """Return how grave those of some revisions are that a change makes void."""
    return [grade for revision, grade in revisions.items() if ends(change, revision)]


def _given(connection: Connection, region: str, record_ids: Collection[str]) -> _ByRecord:
    """Return of each record the operators that a region gave it, each with the revisions and how
    grave they are: a Severity, unspecified where that was not kept."""
    uses = REGION_USES.c
    found: _ByRecord = defaultdict(lambda: defaultdict(dict))
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


def _held(
    connection: Connection, under: KeptUnder, region: str, record_ids: Collection[str]
) -> _ByRecord:
    """Return of what `_given` returns that which is not all gone by its operator's word."""
    uses = REGION_USES.c
    found: _ByRecord = defaultdict(lambda: defaultdict(dict))
    for some in pages(record_ids):
        query = GIVEN.where(uses.region == region, uses.record_id.in_(some))
        rows = connection.execute(query).all()
        keeps = under.keeps(rows)
        for place, row in enumerate(rows):
            kept = keeps.get(place)
            if kept is None or kept.keep_until:
                revisions = found[row.record_id][row.operator_id]
                severity = max(row.severity or 0, revisions.get(row.revision, 0))
                revisions[row.revision] = severity
    return found
