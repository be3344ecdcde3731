"""The check of how many records of each answer a consent opened: counted anew from the answer's
records and the consent it rests on."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, Row, func, literal_column, select

from consent.model import NAME_PREFIX, Consent
from consent.queries import ConsentQueries
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import USAGE
from gateway.meter.under_consent import items_under
from gateway.storage.paging import pages
from gateway.transparency.faults import Faults

_ANSWERS_AT_ONCE: Final = 500
_NONE: Final = literal_column("0")
_UNDER: Final = (USAGE.c.consent != "") & (USAGE.c.kind == ANSWER)
_NAMES: Final = USAGE.c.operator_id, USAGE.c.request_id, USAGE.c.chunk
_RECORDS: Final = select(REVISIONS.c.sequence, REVISIONS.c.subject, LINES.c.item).join(
    LINES, LINES.c.line_no == REVISIONS.c.line_no
)
_Answer = Row[*tuple[Any, ...]]


def check_opened(records: Connection, consents: ConsentQueries, faults: Faults) -> None:
    """Add the answers that tell of other numbers to ``faults``.

    Answers older than the number leave it untold: those before the first that tells it. What rests on
    a consent that this version cannot read is not looked for.
    """
    told = select(func.min(USAGE.c.sequence)).where(USAGE.c.opened_entries.is_not(None))
    later = USAGE.c.opened_entries.is_(None) & (USAGE.c.sequence > told.scalar_subquery())
    for names in records.execute(select(*_NAMES).where(later)):
        _tell(names, faults)
    without = select(*_NAMES).where(~_UNDER, func.coalesce(USAGE.c.opened_entries, _NONE) != _NONE)
    for names in records.execute(without):
        _tell(names, faults)
    for answers in _under_consents(records):
        known = consents.readable({_id_of(each) for each in answers})
        entries = [unpack_entries(each.entries) for each in answers]
        found = _found(records, set(chain.from_iterable(entries)))
        for answer, sequences in zip(answers, entries, strict=True):
            consent = known.get(_id_of(answer))
            if consent is not None and answer.opened_entries != _opened(
                consent, answer.asked_items, [found[each] for each in sequences]
            ):
                _tell(answer[:3], faults)


def _tell(names: Sequence[object], faults: Faults) -> None:
    shown = " ".join(map(str, names))
    faults.require(
        False, f"usage_answers, {shown}", "a consent opened another number of its records"
    )


def _under_consents(records: Connection) -> Iterator[Sequence[_Answer]]:
    query = (
        select(
            *_NAMES,
            USAGE.c.sequence,
            USAGE.c.consent,
            USAGE.c.asked_items,
            USAGE.c.entries,
            USAGE.c.opened_entries,
        )
        .where(_UNDER, USAGE.c.opened_entries.is_not(None))
        .order_by(USAGE.c.sequence)
        .limit(_ANSWERS_AT_ONCE)
    )
    after = 0
    while answers := records.execute(query.where(USAGE.c.sequence > after)).all():
        yield answers
        after = answers[-1].sequence


def _id_of(answer: _Answer) -> str:
    name: str = answer.consent
    return name.removeprefix(NAME_PREFIX)


def _found(records: Connection, sequences: Collection[int]) -> Mapping[int, tuple[str, str]]:
    """Return the subject and the item of records."""
    return {
        sequence: (subject, item)
        for some in pages(sequences)
        for sequence, subject, item in records.execute(
            _RECORDS.where(REVISIONS.c.sequence.in_(some))
        )
    }


def _opened(consent: Consent, asked_items: str, records: Sequence[tuple[str, str]]) -> int:
    items = items_under(consent, asked_items)
    return sum(subject == consent.subject and item in items for subject, item in records)
