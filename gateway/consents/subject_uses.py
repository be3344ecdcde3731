"""The index of uses by subject: which answers of the ledger hold records of whom, or rest on
whose consent.

Kept after the fact, operator by operator: the sequences of one operator's answers follow
the order of commit, so nothing behind a position can still appear.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Engine,
    Select,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from consent.tables import CONSENT, CONSENT_NAME, SUBJECT_USE, SUBJECT_USES
from gateway.consents.followed import come_further, come_to
from gateway.disclose.tables import REVISIONS
from gateway.meter.model import unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading

_ENTRIES_AT_ONCE: Final = 5_000
_ANSWERS_AT_ONCE: Final = 500
_COLUMNS: Final = ("subject", "usage_sequence")
_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_Answers = Mapping[int, frozenset[int]]


def _listed() -> Select[*tuple[Any, ...]]:
    pairs = func.json_each(bindparam("pairs")).table_valued("value")
    part = "json_extract(value, '$[{}]')".format
    return _of_whom(pairs, literal_column(part(0), BigInteger), literal_column(part(1), BigInteger))


def _unnested() -> Select[*tuple[Any, ...]]:
    numbers = ARRAY(BigInteger)
    given = func.unnest(bindparam("answers", type_=numbers), bindparam("entries", type_=numbers))
    pairs = given.table_valued("answer", "entry").render_derived()
    return _of_whom(pairs, pairs.c.answer, pairs.c.entry)


def _of_whom(pairs: Any, answer: Any, entry: Any) -> Select[*tuple[Any, ...]]:
    """Return the rows of the index for pairs of an answer and an entry, in its order."""
    return (
        select(REVISIONS.c.subject, answer)
        .select_from(pairs)
        .join(REVISIONS, REVISIONS.c.sequence == entry)
        .distinct()
        .order_by(REVISIONS.c.subject, answer)
    )


def _as_json(answers: _Answers) -> dict[str, object]:
    return {
        "pairs": json.dumps([(a, entry) for a, entries in answers.items() for entry in entries])
    }


def _as_arrays(answers: _Answers) -> dict[str, object]:
    return {
        "answers": [answer for answer, entries in answers.items() for _ in entries],
        "entries": [entry for entries in answers.values() for entry in entries],
    }


_Ways = tuple[Select[*tuple[Any, ...]], Callable[[_Answers], dict[str, object]]]
_WAYS: Final[Mapping[str, _Ways]] = {
    "sqlite": (_listed(), _as_json),
    "postgresql": (_unnested(), _as_arrays),
}


class SubjectUses:
    """Keeps the index up. Calls block; one process at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        wanted, self._parameters = _WAYS[engine.dialect.name]
        self._add = _INSERT[engine.dialect.name](SUBJECT_USE).on_conflict_do_nothing()
        # The whole of it in the store: rows that came by here would cost most of the work.
        self._add_entries = self._add.from_select(_COLUMNS, wanted)

    def index_more(self, operator_id: str) -> bool:
        """Index some of an operator's answers that are not yet; tell whether there were any."""
        name = SUBJECT_USES + operator_id
        with reading(self._engine) as connection:
            done = come_to(connection, name)
            answers = _next_answers(connection, operator_id, done)
            if not answers:
                return False
            consenting = _consenting(connection, answers)
        with self._engine.begin() as connection:
            connection.execute(self._add_entries, self._parameters(answers))
            if consenting:
                rows: list[dict[str, object]] = [
                    {"subject": subject, "usage_sequence": sequence}
                    for subject, sequence in sorted(consenting)
                ]
                connection.execute(self._add, rows)
            come_further(connection, name, max(answers))
        return True


def _next_answers(connection: Connection, operator_id: str, after: int) -> _Answers:
    """Return the entries of the next answers by sequence, about `_ENTRIES_AT_ONCE` of them."""
    up_to_it = func.sum(USAGE.c.entry_count).over(order_by=USAGE.c.sequence)
    next_ = (
        select(USAGE.c.sequence, USAGE.c.entries, (up_to_it - USAGE.c.entry_count).label("before"))
        .where(USAGE.c.operator_id == operator_id, USAGE.c.sequence > after)
        .order_by(USAGE.c.sequence)
        .limit(_ANSWERS_AT_ONCE)
        .subquery()
    )
    query = select(next_.c.sequence, next_.c.entries).where(next_.c.before < _ENTRIES_AT_ONCE)
    return {
        sequence: frozenset(unpack_entries(packed))
        for sequence, packed in connection.execute(query)
    }


def _consenting(connection: Connection, answers: Collection[int]) -> set[tuple[str, int]]:
    """Return whose consents these answers rest on, with the answer."""
    query = (
        select(CONSENT.c.subject, USAGE.c.sequence)
        .join(CONSENT, USAGE.c.consent == CONSENT_NAME)
        .where(USAGE.c.sequence.between(min(answers), max(answers)), USAGE.c.consent != "")
    )
    return {(subject, seq) for subject, seq in connection.execute(query) if seq in answers}
