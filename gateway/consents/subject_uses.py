"""The index of uses by subject: which answers of the ledger hold records of whom, or rest on
whose consent.

Kept after the fact, operator by operator: the sequences of one operator's answers follow
the order of commit, so nothing behind a position can still appear.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial
from itertools import accumulate, chain
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, LargeBinary, bindparam, case, func, select

from consent.model import NAME_PREFIX
from consent.tables import CONSENT, SUBJECT_USE, SUBJECT_USES
from gateway.consents.followed import come_further, come_to
from gateway.disclose.subjects import Subjects
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.paging import pages
from gateway.storage.remembered import Remembered
from gateway.storage.statements import add_rows

# The more at once, the more rows share a page of the index; while they are added, nobody else
# can write to SQLite's file.
_ENTRIES_AT_ONCE: Final = 10_000
_ANSWERS_AT_ONCE: Final = 4_000
_ANSWER: Final = int(ANSWER)
_ENTRY_BYTES: Final = 8
_FEW_ENTRIES: Final = 64
_NO_END: Final = 2**62
_MOST_KNOWN: Final = 100_000
# What was asked about one subject has records of that one alone. Of answers about several the entries
# may be many bytes: null here, and read once it is known of how many answers.
_NEXT: Final = (
    select(
        USAGE.c.entry_count,
        USAGE.c.sequence,
        USAGE.c.consent,
        case(
            (
                (USAGE.c.asked_subjects == 1) & (USAGE.c.entry_count > 0),
                func.substr(USAGE.c.entries, 1, _ENTRY_BYTES, type_=LargeBinary),
            ),
            (USAGE.c.entry_count <= _FEW_ENTRIES, USAGE.c.entries),
        ),
        USAGE.c.kind,
    )
    .where(
        USAGE.c.operator_id == bindparam("operator"),
        USAGE.c.sequence > bindparam("after"),
        USAGE.c.sequence <= bindparam("until"),
    )
    .order_by(USAGE.c.sequence)
    .limit(_ANSWERS_AT_ONCE)
)
_ENTRIES: Final = select(USAGE.c.sequence, USAGE.c.entries).where(
    USAGE.c.sequence.in_(bindparam("sequences", expanding=True))
)


class IndexedAnswer(NamedTuple):
    """An answer of the ledger, as far as it is indexed by: its consent's name, and entries, one at
    least of each subject that it has records of."""

    sequence: int
    consent: str
    entries: Sequence[int]


class Givers:
    """Who gave consents, by their names, as far as asked for lately; any thread. Whose a consent is
    never changes, so what was read once is remembered."""

    def __init__(self) -> None:
        self._known = Remembered[str, str](_MOST_KNOWN)

    def of(self, connection: Connection, names: Set[str]) -> Mapping[str, str]:
        """Return the credit codes of subjects by the consents asked for; of others too.

        A consent that is not there is left out. Raises what the store raises.
        """
        return self._known.of(names, partial(_given_by, connection))


class SubjectUses:
    """Keeps the index up. Calls block; one process at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._subjects = Subjects()
        self._givers = Givers()

    def index_more(self, operator_id: str) -> bool:
        """Index some of an operator's answers that are not yet; tell whether there were any."""
        name = SUBJECT_USES + operator_id
        with reading(self._engine) as connection:
            answers = next_answers(connection, operator_id, come_to(connection, name))
            if not answers:
                return False
            uses = uses_of(connection, answers, self._subjects, self._givers)
        with bounded(self._engine) as connection:
            # In the index's order, so that each of its pages is written once.
            add_rows(connection, SUBJECT_USE, sorted(uses))
            come_further(connection, name, answers[-1].sequence)
        return True


def next_answers(
    connection: Connection, operator_id: str, after: int, until: int = _NO_END
) -> list[IndexedAnswer]:
    """Return the next answers by sequence, up to ``until``, with about `_ENTRIES_AT_ONCE`
    entries; rows that credit one come as answers without any."""
    asked = {"operator": operator_id, "after": after, "until": until}
    rows = connection.execute(_NEXT, asked).all()
    up_to_it = list(accumulate([row[0] for row in rows]))
    rows = rows[: bisect_left(up_to_it, _ENTRIES_AT_ONCE) + 1]
    large = [sequence for _, sequence, _, entries, _ in rows if entries is None]
    read = {
        sequence: entries
        for some in pages(large)
        for sequence, entries in connection.execute(_ENTRIES, {"sequences": some})
    }
    return [
        IndexedAnswer(
            sequence, consent, unpack_entries(read[sequence] if entries is None else entries)
        )
        if kind == _ANSWER
        else IndexedAnswer(sequence, "", ())
        for _, sequence, consent, entries, kind in rows
    ]


def uses_of(
    connection: Connection, answers: Sequence[IndexedAnswer], subjects: Subjects, givers: Givers
) -> set[tuple[str, int]]:
    """Return whose records these answers hold, and on whose consent they rest, with the
    answer."""
    subject_of = subjects.of(connection, {*chain.from_iterable(each.entries for each in answers)})
    uses = {(subject_of[entry], sequence) for sequence, _, entries in answers for entry in entries}
    under = [each for each in answers if each.consent]
    given_by = givers.of(connection, {each.consent for each in under})
    uses.update(
        (given_by[each.consent], each.sequence) for each in under if each.consent in given_by
    )
    return uses


def _given_by(connection: Connection, names: Iterable[str]) -> Iterable[tuple[str, str]]:
    query = select(CONSENT.c.consent_id, CONSENT.c.subject)
    for some in pages(name.removeprefix(NAME_PREFIX) for name in names):
        rows = connection.execute(query.where(CONSENT.c.consent_id.in_(some)))
        yield from ((NAME_PREFIX + consent_id, subject) for consent_id, subject in rows)
