"""The store of the usage ledger: what one transaction of it reads and writes.

Statements are written in SQLAlchemy Core, compiled once, and run on the driver's own
cursor: a claim has a budget of microseconds. Whoever ends a revision waits for the
transactions that serve it, and they for him; so what a transaction reads of the
disclosure's endings holds until it commits (guarantee G9).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from sqlalchemy import func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.sql import ClauseElement

from gateway.disclose.tables import EVENTS, REVISIONS
from gateway.meter.model import EarlierAnswer, LineCount, QuotaDay, RefusalEntry, UsageClaim
from gateway.meter.tables import QUOTA, REFUSALS, USAGE

EARLIER_COLUMNS: Final = tuple(USAGE.c[name] for name in EarlierAnswer._fields)
HAS_ENDED: Final = REVISIONS.c.ended_by != literal_column("0")
_MOST_SMALL: Final = 32_767
_HEAD: Final = select(func.max(EVENTS.c.sequence))
_ADD_USED: Final = {"sqlite": sqlite.insert(QUOTA), "postgresql": postgresql.insert(QUOTA)}


class LedgerTransaction(Protocol):
    """One transaction, in which everything of a group is read and written."""

    def head(self) -> int:
        """Return the sequence of the disclosure's newest event, 0 before the first."""
        ...

    def ended(self, sequences: Collection[int]) -> set[int]:
        """Return those of the revisions that are disclosed no more."""
        ...

    def earlier(self, claims: Iterable[UsageClaim]) -> list[EarlierAnswer]:
        """Return of each claim's request the answer of its chunk and the first one."""
        ...

    def used(self, days: Iterable[QuotaDay]) -> dict[QuotaDay, int]:
        """Return the records counted on these days; days without any may lack."""
        ...

    def write(
        self,
        charged: Sequence[UsageClaim],
        grown: Mapping[QuotaDay, int],
        refusals: Sequence[RefusalEntry],
    ) -> None:
        """Write answers, counts of records, and refusals."""
        ...


class LedgerStore(Protocol):
    """Where the ledger is kept. Calls block; one thread at a time."""

    def transaction(
        self, claims: Sequence[UsageClaim]
    ) -> AbstractContextManager[LedgerTransaction]:
        """Give a transaction for these claims, the only one on their operators.

        It is durable when the block has ended. Raises what the driver or SQLAlchemy
        raise; nothing was written then, unless it was the commit that raised.
        """
        ...

    def close(self) -> None:
        """Give back what is held between transactions."""
        ...


USAGE_COLUMNS: Final = tuple(c.name for c in USAGE.c if c.name != "sequence")
REFUSAL_COLUMNS: Final = tuple(c.name for c in REFUSALS.c if c.name != "sequence")


class Statements:
    """The statements both stores share, as text for one driver."""

    def __init__(self, dialect: Dialect) -> None:
        self.head = text_of(_HEAD, dialect)
        add_used = _ADD_USED[dialect.name]
        self.set_used = text_of(
            add_used.on_conflict_do_update(
                index_elements=[QUOTA.c.operator_id, QUOTA.c.day],
                set_={"used": add_used.excluded.used},
            ),
            dialect,
        )


def text_of(statement: ClauseElement, dialect: Dialect) -> str:
    """Return a statement as the driver takes it, parameters by position."""
    return str(statement.compile(dialect=dialect))


def read_head(cursor: DBAPICursor, statements: Statements) -> int:
    """See `LedgerTransaction.head`."""
    cursor.execute(statements.head, ())
    (head,) = cursor.fetchall()[0]
    return head or 0


def write_used(cursor: DBAPICursor, statements: Statements, grown: Mapping[QuotaDay, int]) -> None:
    """Write counts of records."""
    if grown:
        cursor.executemany(statements.set_used, [(*day, used) for day, used in grown.items()])


def usage_rows(charged: Iterable[UsageClaim]) -> list[tuple[Any, ...]]:
    """Return answers as rows of `USAGE_COLUMNS`."""
    return [
        (*claim[:11], claim.entry_count, claim.fee, _lines_text(claim.lines), claim.entries)
        for claim in charged
    ]


def _lines_text(lines: Iterable[LineCount]) -> str:
    """Return lines as JSON; they are all integers."""
    return "[" + ",".join([f"[{no},{records},{price}]" for no, records, price in lines]) + "]"


def refusal_rows(refusals: Iterable[RefusalEntry]) -> list[tuple[Any, ...]]:
    """Return refusals as rows of `REFUSAL_COLUMNS`.

    A call may be refused for the very request id or purpose that stands here, so they
    are made to fit.
    """
    return [
        (
            entry.decision_id,
            entry.at,
            entry.client_id,
            entry.method,
            entry.reason,
            entry.purpose if 0 <= entry.purpose <= _MOST_SMALL else 0,
            entry.request_id[:64].encode("ascii", "replace").decode().replace("\0", "?"),
        )
        for entry in refusals
    ]
