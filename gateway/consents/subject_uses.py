"""The index of uses by subject: which answers of the ledger hold records of whom, or rest on
whose consent.

Kept after the fact, operator by operator: the sequences of one operator's answers follow
the order of commit, so nothing behind a position can still appear.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from consent.tables import CONSENT, CONSENT_NAME, SUBJECT_USE, SUBJECT_USES
from gateway.consents.followed import come_further, come_to
from gateway.disclose.tables import REVISIONS
from gateway.meter.model import unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading

_ENTRIES_AT_ONCE: Final = 2_000
_ANSWERS_AT_ONCE: Final = 200
_KEYS_A_QUERY: Final = 500
_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class SubjectUses:
    """Keeps the index up. Calls block; one process at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def index_more(self, operator_id: str) -> bool:
        """Index some of an operator's answers that are not yet; tell whether there were any."""
        name = SUBJECT_USES + operator_id
        with reading(self._engine) as connection:
            done = come_to(connection, name)
            answers = _next_answers(connection, operator_id, done)
            if not answers:
                return False
            subjects = _subjects(connection, set().union(*answers.values()))
            consenting = _consenting(connection, answers)
        uses = sorted(
            {
                (subjects[entry], sequence)
                for sequence, entries in answers.items()
                for entry in entries
            }
            | consenting
        )
        add = _INSERT[self._engine.dialect.name](SUBJECT_USE).on_conflict_do_nothing()
        with self._engine.begin() as connection:
            if uses:
                connection.execute(
                    add,
                    [
                        {"subject": subject, "usage_sequence": sequence}
                        for subject, sequence in uses
                    ],
                )
            come_further(connection, name, max(answers))
        return True


def _next_answers(
    connection: Connection, operator_id: str, after: int
) -> dict[int, frozenset[int]]:
    """Return the entries of the next answers by sequence, about `_ENTRIES_AT_ONCE` of them."""
    next_ = (
        select(USAGE.c.sequence, USAGE.c.entry_count)
        .where(USAGE.c.operator_id == operator_id, USAGE.c.sequence > after)
        .order_by(USAGE.c.sequence)
        .limit(_ANSWERS_AT_ONCE)
    )
    sequences: list[int] = []
    entries = 0
    for sequence, entry_count in connection.execute(next_):
        if sequences and entries + entry_count > _ENTRIES_AT_ONCE:
            break
        sequences.append(sequence)
        entries += entry_count
    query = select(USAGE.c.sequence, USAGE.c.entries).where(USAGE.c.sequence.in_(sequences))
    return {
        sequence: frozenset(unpack_entries(packed))
        for sequence, packed in connection.execute(query)
    }


def _consenting(connection: Connection, answers: Collection[int]) -> set[tuple[str, int]]:
    """Return whose consents these answers rest on, with the answer."""
    query = (
        select(CONSENT.c.subject, USAGE.c.sequence)
        .join(CONSENT, USAGE.c.consent == CONSENT_NAME)
        .where(USAGE.c.sequence.in_(answers), USAGE.c.consent != "")
    )
    return {(subject, sequence) for subject, sequence in connection.execute(query)}


def _subjects(connection: Connection, revisions: set[int]) -> dict[int, str]:
    ordered = sorted(revisions)
    query = select(REVISIONS.c.sequence, REVISIONS.c.subject)
    return {
        sequence: subject
        for start in range(0, len(ordered), _KEYS_A_QUERY)
        for sequence, subject in connection.execute(
            query.where(REVISIONS.c.sequence.in_(ordered[start : start + _KEYS_A_QUERY]))
        )
    }
