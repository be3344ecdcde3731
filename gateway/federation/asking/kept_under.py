"""Until when what other regions gave under consents may be kept, by what the consents have become."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Engine, Row, and_, select

from consent.model import NAME_PREFIX, Consent
from consent.part_names import part_id
from consent.queries import ConsentQueries
from creditgate.reconcile.elements import element_of
from creditgate.transparency.facts import Copy
from gateway.conformance.grounds import grounds
from gateway.conformance.served import CutCopy
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.storage.engines import reading
from gateway.storage.paging import pages

_U: Final = REGION_USES.c
_A: Final = REGION_ANSWERS.c
GIVEN: Final = (
    select(
        _U.operator_id,
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
    .where(_U.subject != NOT_PASSED_ON)
    .order_by(_A.recorded_at, _U.region, _U.record_id, _U.revision)
)
"""What other regions gave operators, by age: rows of `Given`."""

Given = Row[*tuple[Any, ...]]


class KeptUnder:
    """What consents of one store let be kept. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._consents = ConsentQueries(engine)

    def keeps(self, rows: Sequence[Given]) -> Mapping[int, CutCopy]:
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
        with reading(self._engine) as connection:
            return {each.sequence: each for each in grounds(connection, copies)}


def copy_of(row: Given) -> Copy:
    """Return what was given as a copy of it is compared."""
    return Copy(row.record_id, bytes(row.content_digest), row.disclosed_from, row.disclosed_until)


def _is_under(consent: Consent, row: Given) -> bool:
    """Tell whether a consent opened what was given; of older answers by its items."""
    return row.opened or row.own_item in consent.terms.fields_by_item


def _cut_copy(place: int, row: Given, consent: Consent) -> CutCopy:
    copy = copy_of(row)
    return CutCopy(
        place,
        element_of(copy),
        copy.content_digest,
        copy.disclosed_until,
        consent.consent_id,
        row.recorded_at + consent.terms.data_life_seconds,
    )
