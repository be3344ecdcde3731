"""What other regions gave an operator, and what became of it: what its copies are compared with."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import and_, exists, or_

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.classify import Removal
from gateway.conformance.elsewhere import GivenElsewhere
from gateway.conformance.revisions import Ending
from gateway.conformance.served import CutCopy
from gateway.federation.asking.event_concerns import CORRECTED, ends
from gateway.federation.asking.event_places import sequence_in
from gateway.federation.asking.event_tables import REGION_EVENTS
from gateway.federation.asking.kept_under import GIVEN, Given, KeptUnder, copy_of
from gateway.federation.asking.region_events import RegionEvent, SqlRegionEvents
from gateway.federation.asking.removals import RegionRemovals
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.storage.engines import Engines, reading
from gateway.storage.paging import pages

_U: Final = REGION_USES.c
_A: Final = REGION_ANSWERS.c
_E: Final = REGION_EVENTS.c
_KINDS: Final = (CORRECTED, DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED)
_WITHDRAWN: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
_ROWS_AT_ONCE: Final = 500


class _Told(NamedTuple):
    """What an operator was told of records, by region and id, and the removals it owes for it, by
    number."""

    events: Mapping[tuple[str, str], list[RegionEvent]]
    removals: Mapping[int, Removal]


class RegionCopies:
    """`gateway.conformance.elsewhere.Elsewhere` of the stores. Calls block; any thread."""

    def __init__(self, engines: Engines, removals: RegionRemovals) -> None:
        self._records = engines.records
        self._events = SqlRegionEvents(engines.records)
        self._removals = removals
        self._under = KeptUnder(engines.records)

    def given(self, operator_id: str, record_ids: Iterable[str]) -> list[GivenElsewhere]:
        """Return all that other regions gave an operator of records, by age."""
        of_operator = GIVEN.where(_U.operator_id == operator_id)
        with reading(self._records) as connection:
            rows = [
                row
                for some in pages(record_ids)
                for row in connection.execute(of_operator.where(_U.record_id.in_(some)))
            ]
        told = self._told(operator_id, {row.record_id for row in rows})
        keeps = self._under.keeps(rows)
        return [_given(row, told, keeps.get(place)) for place, row in enumerate(rows)]

    def holds(self, operator_id: str, now: int) -> bool:
        """Tell whether other regions gave an operator any copy that it may hold at ``now``
        (seconds, UTC)."""
        given = GIVEN.where(
            _U.operator_id == operator_id,
            _U.disclosed_until > now,
            ~exists().where(
                _E.operator_id == _U.operator_id,
                _E.region == _U.region,
                _E.record_id == _U.record_id,
                or_(
                    _E.revision > _U.revision,
                    and_(_E.kind != CORRECTED, _E.revision == _U.revision),
                ),
            ),
        ).order_by(None)
        under_none = given.where(or_(_A.consent == "", _U.opened.is_(False))).limit(1)
        newest_first = given.where(_A.consent != "").order_by(_A.recorded_at.desc())
        with reading(self._records) as connection:
            if connection.execute(under_none).first() is not None:
                return True
            for rows in connection.execute(newest_first).partitions(_ROWS_AT_ONCE):
                keeps = self._under.keeps(rows)
                if any(
                    place not in keeps or keeps[place].keep_until > now
                    for place in range(len(rows))
                ):
                    return True
        return False

    def _told(self, operator_id: str, record_ids: Collection[str]) -> _Told:
        found: dict[tuple[str, str], list[RegionEvent]] = defaultdict(list)
        events = self._events.of_records(operator_id, record_ids) if record_ids else []
        for event in events:
            found[event.region, event.change.record_id].append(event)
        removals = self._removals.owed_for(operator_id, [each.number for each in events])
        return _Told(found, removals)


def _given(row: Given, told: _Told, cut: CutCopy | None) -> GivenElsewhere:
    ending = next(
        (
            each
            for each in told.events.get((row.region, row.record_id), ())
            if ends(each.change, row.revision)
        ),
        None,
    )
    return GivenElsewhere(
        row.region,
        row.record_id,
        None if row.content_digest is None else copy_of(row),
        row.severity or 0,
        None if ending is None else _ending(ending),
        None if ending is None else told.removals.get(ending.number),
        None if cut is None else cut.keep_until,
        None if cut is None else cut.gone_at,
        0 if cut is None else cut.otherwise_until,
    )


def _ending(event: RegionEvent) -> Ending:
    """Return how an event ended a revision; one of a kind that only a newer region knows as a
    withdrawal."""
    kind = event.change.kind
    return Ending(
        sequence_in(event.change.event_sequence),
        kind if kind in _KINDS else _WITHDRAWN,
        event.told_at,
    )
