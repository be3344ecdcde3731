"""The index of uses by subject: which answers of the ledger hold records of whom, or rest on
whose consent.

Kept after the fact, operator by operator: the sequences of one operator's answers follow
the order of commit, so nothing behind a position can still appear.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Connection, Engine, bindparam, func, select, true

from consent.model import NAME_PREFIX
from consent.tables import CONSENT, SUBJECT_USE, SUBJECT_USES
from gateway.consents.followed import come_further, come_to
from gateway.disclose.tables import REVISIONS
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from gateway.storage.paging import pages
from gateway.storage.statements import add_rows

# The more at once, the more rows share a page of the index; while they are added, nobody else
# can write to SQLite's file.
_ENTRIES_AT_ONCE: Final = 10_000
_ANSWERS_AT_ONCE: Final = 4_000
_SUBJECTS: Final = select(REVISIONS.c.sequence, REVISIONS.c.subject)
_SEQUENCES: Final = bindparam("sequences")
_SUBJECTS_OF: Final = {
    "sqlite": _SUBJECTS.where(
        REVISIONS.c.sequence.in_(select(func.json_each(_SEQUENCES).table_valued("value")))
    ),
    "postgresql": _SUBJECTS.where(
        REVISIONS.c.sequence == func.any(bindparam("sequences", type_=ARRAY(BigInteger)))
    ),
}


class IndexedAnswer(NamedTuple):
    """An answer of the ledger, as far as it is indexed by: its consent's name, its entries."""

    sequence: int
    consent: str
    entries: Sequence[int]


class SubjectUses:
    """Keeps the index up. Calls block; one process at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def index_more(self, operator_id: str) -> bool:
        """Index some of an operator's answers that are not yet; tell whether there were any."""
        name = SUBJECT_USES + operator_id
        with reading(self._engine) as connection:
            answers = next_answers(connection, operator_id, come_to(connection, name))
            if not answers:
                return False
            uses = uses_of(connection, answers)
        with self._engine.begin() as connection:
            # In the index's order, so that each of its pages is written once.
            add_rows(connection, SUBJECT_USE, sorted(uses))
            come_further(connection, name, answers[-1].sequence)
        return True


def next_answers(
    connection: Connection, operator_id: str, after: int, until: int | None = None
) -> list[IndexedAnswer]:
    """Return the next answers by sequence, up to ``until``, with about `_ENTRIES_AT_ONCE`
    entries; rows that credit one come as answers without any."""
    up_to_it = func.sum(USAGE.c.entry_count).over(order_by=USAGE.c.sequence)
    next_ = (
        select(
            USAGE.c.sequence,
            USAGE.c.consent,
            USAGE.c.entries,
            USAGE.c.kind,
            (up_to_it - USAGE.c.entry_count).label("before"),
        )
        .where(
            USAGE.c.operator_id == operator_id,
            USAGE.c.sequence > after,
            true() if until is None else USAGE.c.sequence <= until,
        )
        .order_by(USAGE.c.sequence)
        .limit(_ANSWERS_AT_ONCE)
        .subquery()
    )
    query = select(next_.c.sequence, next_.c.consent, next_.c.entries, next_.c.kind)
    rows = connection.execute(
        query.where(next_.c.before < _ENTRIES_AT_ONCE).order_by(next_.c.sequence)
    ).all()
    return [
        IndexedAnswer(sequence, consent, unpack_entries(packed))
        if kind == ANSWER
        else IndexedAnswer(sequence, "", ())
        for sequence, consent, packed, kind in rows
    ]


def uses_of(connection: Connection, answers: Sequence[IndexedAnswer]) -> set[tuple[str, int]]:
    """Return whose records these answers hold, and on whose consent they rest, with the
    answer."""
    subject_of = _subjects(connection, {*chain.from_iterable(each.entries for each in answers)})
    uses = {(subject_of[entry], sequence) for sequence, _, entries in answers for entry in entries}
    under = [each for each in answers if each.consent]
    given_by = _consenting(connection, {each.consent for each in under})
    uses.update(
        (given_by[each.consent], each.sequence) for each in under if each.consent in given_by
    )
    return uses


def _subjects(connection: Connection, sequences: Iterable[int]) -> dict[int, str]:
    name = connection.dialect.name
    given: Any = sorted(sequences)
    rows = connection.execute(
        _SUBJECTS_OF[name], {"sequences": json.dumps(given) if name == "sqlite" else given}
    )
    return {row[0]: row[1] for row in rows.all()}


def _consenting(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    query = select(CONSENT.c.consent_id, CONSENT.c.subject)
    return {
        NAME_PREFIX + consent_id: subject
        for some in pages(name.removeprefix(NAME_PREFIX) for name in names)
        for consent_id, subject in connection.execute(query.where(CONSENT.c.consent_id.in_(some)))
    }
