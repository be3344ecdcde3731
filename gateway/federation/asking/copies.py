"""What other regions gave an operator, and what became of it: what its copies are compared with."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, and_, exists, or_, select

from consent.model import NAME_PREFIX, Consent
from consent.part_names import part_id
from consent.queries import ConsentQueries
from creditgate.reconcile.elements import element_of
from creditgate.transparency.facts import Copy
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.classify import Removal
from gateway.conformance.elsewhere import GivenElsewhere
from gateway.conformance.grounds import grounds
from gateway.conformance.revisions import Ending
from gateway.conformance.served import CutCopy
from gateway.federation.asking.event_tables import REGION_EVENTS
from gateway.federation.asking.region_events import (
    CORRECTED,
    RegionEvent,
    SqlRegionEvents,
    ends,
)
from gateway.federation.asking.removals import RegionRemovals
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.storage.engines import Engines, reading
from gateway.storage.paging import pages

_U: Final = REGION_USES.c
_A: Final = REGION_ANSWERS.c
_E: Final = REGION_EVENTS.c
_KINDS: Final = (CORRECTED, DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED)
_WITHDRAWN: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
_GIVEN: Final = (
    select(
        _U.region,
        _U.record_id,
        _U.revision,
        _U.content_digest,
        _U.disclosed_from,
        _U.disclosed_until,
        _U.severity,
        _U.opened,
        _U.own_item,
        _A.recorded_at,
        _A.consent,
    )
    .join(
        REGION_ANSWERS,
        and_(
            _A.operator_id == _U.operator_id,
            _A.request_id == _U.request_id,
            _A.region == _U.region,
            _A.first_subject == _U.first_subject,
        ),
    )
    .order_by(_A.recorded_at, _U.region, _U.record_id, _U.revision)
)
_Given = Row[*tuple[Any, ...]]


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
        self._consents = ConsentQueries(engines.records)

    def given(self, operator_id: str, record_ids: Iterable[str]) -> list[GivenElsewhere]:
        """Return all that other regions gave an operator of records, by age."""
        of_operator = _GIVEN.where(_U.operator_id == operator_id, _U.subject != NOT_PASSED_ON)
        with reading(self._records) as connection:
            rows = [
                row
                for some in pages(record_ids)
                for row in connection.execute(of_operator.where(_U.record_id.in_(some)))
            ]
        told = self._told(operator_id, {row.record_id for row in rows})
        keeps = self._keeps(rows)
        return [_given(row, told, keeps.get(place)) for place, row in enumerate(rows)]

    def holds(self, operator_id: str, now: int) -> bool:
        """Tell whether other regions gave an operator any copy that it may hold at ``now``
        (seconds, UTC), consents left out of account."""
        query = (
            select(_U.record_id)
            .where(
                _U.operator_id == operator_id,
                _U.subject != NOT_PASSED_ON,
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
            )
            .limit(1)
        )
        with reading(self._records) as connection:
            return connection.execute(query).first() is not None

    def _told(self, operator_id: str, record_ids: Collection[str]) -> _Told:
        found: dict[tuple[str, str], list[RegionEvent]] = defaultdict(list)
        events = self._events.of_records(operator_id, record_ids) if record_ids else []
        for event in events:
            found[event.region, event.change.record_id].append(event)
        removals = self._removals.owed_for(operator_id, [each.number for each in events])
        return _Told(found, removals)

    def _keeps(self, rows: Sequence[_Given]) -> Mapping[int, CutCopy]:
        """Return of each row, by its place, its copy as it may be kept: of those that a consent
        opened which can be read."""
        opened = {
            place: row.consent.removeprefix(NAME_PREFIX)
            for place, row in enumerate(rows)
            if row.consent and row.opened is not False and row.content_digest is not None
        }
        consents = {
            consent_id: consent
            for some in pages(set(opened.values()))
            for consent_id, consent in self._consents.readable(some).items()
        }
        # What a subject has taken back in the region that gave it is judged by that, unless it was
        # owed already.
        parts = {
            apart
            for some in pages({part_id(each, rows[place].region) for place, each in opened.items()})
            for apart in self._consents.removals(some)
        }
        copies = [
            _cut_copy(place, rows[place], consent)
            for place, consent_id in opened.items()
            if (consent := consents.get(consent_id)) is not None and _is_under(consent, rows[place])
        ]
        copies = [
            each._replace(consent_id=apart)
            if (apart := part_id(each.consent_id, rows[each.sequence].region)) in parts
            else each
            for each in copies
        ]
        with reading(self._records) as connection:
            return {each.sequence: each for each in grounds(connection, copies)}


def _is_under(consent: Consent, row: _Given) -> bool:
    """Tell whether a consent opened what was given; of older answers by its items."""
    return row.opened or row.own_item in consent.terms.fields_by_item


def _cut_copy(place: int, row: _Given, consent: Consent) -> CutCopy:
    copy = _copy(row)
    return CutCopy(
        place,
        element_of(copy),
        copy.content_digest,
        copy.disclosed_until,
        consent.consent_id,
        row.recorded_at + consent.terms.data_life_seconds,
    )


def _given(row: _Given, told: _Told, cut: CutCopy | None) -> GivenElsewhere:
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
        None if row.content_digest is None else _copy(row),
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
        event.change.event_sequence, kind if kind in _KINDS else _WITHDRAWN, event.told_at
    )


def _copy(row: _Given) -> Copy:
    return Copy(row.record_id, bytes(row.content_digest), row.disclosed_from, row.disclosed_until)
