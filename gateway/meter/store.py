"""The store of the usage ledger: what one transaction of it reads and writes.

Statements are written in SQLAlchemy Core, compiled once, and run on the driver's own
cursor: a claim has a budget of microseconds. Whoever ends a revision waits for the
transactions that serve it, and they for him; so what a transaction reads of the
disclosure's endings holds until it commits (guarantee G9).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from sqlalchemy import (
    FromClause,
    Select,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.sql import ClauseElement

from consent.relied import ConsentVersion
from consent.tables import CONSENT_REMOVAL, CONSENT_USE, WRITES
from gateway.disclose.model import Line
from gateway.disclose.tables import EVENTS, LINES, REVISIONS
from gateway.meter.delivery import OPEN
from gateway.meter.delivery_tables import DELIVERIES
from gateway.meter.holds import DayCount, DayUse, Hold, HoldKey
from gateway.meter.holds_sql import HoldStatements
from gateway.meter.model import (
    ANSWER,
    AnswerKey,
    ConsentDay,
    ConsentGrowth,
    ConsentUse,
    EarlierAnswer,
    QuotaDay,
    RefusalEntry,
    UsageClaim,
    UsageRow,
)
from gateway.meter.quota_sql import QuotaStatements
from gateway.meter.rates import RateCounts, RateKey
from gateway.meter.rates_sql import RateStatements
from gateway.meter.replays import Again, noted
from gateway.meter.tables import REFUSALS, USAGE, USAGE_HEADS

EARLIER_COLUMNS: Final = tuple(USAGE.c[name] for name in EarlierAnswer._fields)
USAGE_COLUMNS: Final = tuple(USAGE.c[name] for name in UsageRow._fields)
USAGE_WRITTEN: Final = (*UsageRow._fields, USAGE.c.leaf_hash.name)
"""The columns of the ledger that are written, in the order of `usage_rows`."""
IS_ANSWER: Final = USAGE.c.kind == literal_column(str(int(ANSWER)))
HAS_ENDED: Final = REVISIONS.c.ended_by != literal_column("0")
IS_REMOVED: Final = CONSENT_REMOVAL.c.acknowledged_at.is_not(None)
_MOST_SMALL: Final = 32_767
_HEAD: Final = select(func.max(EVENTS.c.sequence))
_LINES: Final = select(LINES).order_by(LINES.c.line_no)
_PLACE: Final = {"sqlite": sqlite.insert(USAGE_HEADS), "postgresql": postgresql.insert(USAGE_HEADS)}
_HEAD_COLUMNS: Final = tuple(column.name for column in USAGE_HEADS.c)
_ADVANCE: Final = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.operator_id == bindparam("its_operator"),
        DELIVERIES.c.request_id == bindparam("its_request"),
        DELIVERIES.c.turn == bindparam("its_turn"),
        DELIVERIES.c.state == literal_column(str(int(OPEN))),
    )
    .ordered_values(
        (DELIVERIES.c.chunk, bindparam("to_chunk")),
        (DELIVERIES.c.entries, bindparam("to_entries")),
        (DELIVERIES.c.touched_at, bindparam("at")),
    )
)
_ADD_RELIED: Final = {
    "sqlite": sqlite.insert(CONSENT_USE),
    "postgresql": postgresql.insert(CONSENT_USE),
}


def consent_uses(asked: FromClause) -> Select[*tuple[Any, ...]]:
    """Return the statement for `LedgerTransaction.consent_uses`, of the days ``asked`` for."""
    of_consent = CONSENT_USE.c.consent_id == asked.c.consent_id
    on_the_day = select(CONSENT_USE.c.answered).where(of_consent, CONSENT_USE.c.day == asked.c.day)
    return select(
        asked.c.consent_id,
        asked.c.day,
        exists().where(of_consent),
        func.coalesce(on_the_day.scalar_subquery(), literal_column("0")),
    )


def read_consent_uses(cursor: DBAPICursor) -> dict[ConsentDay, ConsentUse]:
    """Return what the statement of `consent_uses` has found."""
    return {
        ConsentDay(consent_id, day): ConsentUse(bool(ever), answered)
        for consent_id, day, ever, answered in cursor.fetchall()
    }


class LedgerTransaction(Protocol):
    """One transaction, in which everything of a group is read and written."""

    def changed(self, consents: Collection[ConsentVersion]) -> set[ConsentVersion]:
        """Return those of the consents that are another version by now, or not there; the
        others do not change before the commit."""
        ...

    def consent_uses(self, days: Iterable[ConsentDay]) -> dict[ConsentDay, ConsentUse]:
        """Return the use of consents on days; those that were never used may lack."""
        ...

    def removed(self, consent_ids: Collection[str]) -> set[str]:
        """Return those of the consents whose copies were acknowledged to be removed; asked
        after `changed`, and true until the commit."""
        ...

    def head(self) -> int:
        """Return the sequence of the disclosure's newest event, 0 before the first."""
        ...

    def ended(self, sequences: Collection[int]) -> set[int]:
        """Return those of the revisions that are disclosed no more."""
        ...

    def earlier(self, claims: Iterable[UsageClaim]) -> list[EarlierAnswer]:
        """Return of each claim's request the answer of its chunk and the first one."""
        ...

    def answered(self, claims: Iterable[UsageClaim]) -> list[UsageRow]:
        """Return of each claim the answer its request and chunk was given before."""
        ...

    def note_replays(self, again: Mapping[Again, int], now: int) -> None:
        """Write that answers are given again at ``now`` (seconds, UTC), each so often, and tell it."""
        ...

    def used(self, days: Iterable[QuotaDay], now: int) -> dict[QuotaDay, DayUse]:
        """Return the records counted on these days, and those held for their operators at ``now``
        (seconds, UTC)."""
        ...

    def hold(self, holds: Collection[Hold], given_back: Collection[HoldKey], now: int) -> None:
        """Write what is held and end what is ``given_back``; of who has holds written, forget those
        that are over at ``now`` (seconds, UTC)."""
        ...

    def advance(self, claims: Iterable[UsageClaim]) -> set[AnswerKey]:
        """Take note of how far the deliveries of claims were acknowledged; return those of the
        claims whose delivery is not their call's any more."""
        ...

    def rates(self, keys: Collection[RateKey]) -> RateCounts:
        """Return counts; those without use may lack."""
        ...

    def set_rates(self, counts: RateCounts) -> None:
        """Write counts."""
        ...

    def prune_rates(self, operator_ids: Collection[str], now: int) -> None:
        """Forget some counts of these operators that say nothing more at ``now`` (µs, UTC)."""
        ...

    def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        ...

    def place(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Take the next places of operators' usage logs, so many of each; return the first."""
        ...

    def write(
        self,
        rows: Sequence[UsageRow],
        leaf_hashes: Sequence[bytes],
        grown: Mapping[QuotaDay, DayCount],
        relied: Mapping[ConsentDay, ConsentGrowth],
        refusals: Sequence[RefusalEntry],
    ) -> None:
        """Write answers, each with its leaf's hash, counts of records, uses of consents, and
        refusals."""
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

    def at_once(self) -> AbstractContextManager[LedgerTransaction | None]:
        """Give a transaction as `transaction` does, but for its end, which is `commit`: where to begin
        and to use it waits for nobody, neither another writer nor a network or a disk; else None.

        Raises as `transaction`, and nothing is begun then.
        """
        ...

    def commit(self) -> None:
        """Make durable what was written at once; raises as `transaction`."""
        ...

    def close(self) -> None:
        """Give back what is held, undoing what was begun."""
        ...


RELIED_COLUMNS: Final = (*ConsentDay._fields, *ConsentGrowth._fields)
REFUSAL_COLUMNS: Final = tuple(c.name for c in REFUSALS.c if c.name != "sequence")


class Statements:
    """The statements both stores share, as text for one driver."""

    def __init__(self, dialect: Dialect) -> None:
        self.head = text_of(_HEAD, dialect)
        self.lines = text_of(_LINES, dialect)
        self.place = place(dialect)
        self.advance = text_of(_ADVANCE, dialect)
        self.replayed = text_of(noted(dialect.name), dialect)
        columns = {name: bindparam(name) for name in ("written", "row_key")}
        told = insert(WRITES).values(columns).inline()
        self.told = text_of(told, dialect)
        self.rates = RateStatements(dialect)
        self.holds = HoldStatements(dialect)
        self.quotas = QuotaStatements(dialect)


def add_relied(dialect: Dialect, rows: int = 1) -> str:
    """Return the statement that adds ``rows`` uses of consents, of `RELIED_COLUMNS`."""
    add = _ADD_RELIED[dialect.name].values([dict.fromkeys(RELIED_COLUMNS)] * rows)
    older, newer = CONSENT_USE.c.last_at, add.excluded.last_at
    return text_of(
        add.on_conflict_do_update(
            index_elements=[CONSENT_USE.c.consent_id, CONSENT_USE.c.day],
            set_={
                "answered": CONSENT_USE.c.answered + add.excluded.answered,
                "last_at": case((newer.is_(None) | (older > newer), older), else_=newer),
            },
        ),
        dialect,
    )


def place(dialect: Dialect) -> str:
    """Return the statement that takes an operator's next places, so many as are given, and
    returns the place behind them."""
    add = _PLACE[dialect.name].values(dict.fromkeys(_HEAD_COLUMNS))
    return text_of(
        add.on_conflict_do_update(
            index_elements=[USAGE_HEADS.c.operator_id],
            set_={"next_index": USAGE_HEADS.c.next_index + add.excluded.next_index},
        ).returning(USAGE_HEADS.c.next_index),
        dialect,
    )


def text_of(statement: ClauseElement, dialect: Dialect) -> str:
    """Return a statement as the driver takes it, parameters by position."""
    return str(statement.compile(dialect=dialect))


def usage_rows(rows: Iterable[UsageRow], leaf_hashes: Iterable[bytes]) -> list[tuple[object, ...]]:
    """Return answers as rows of `USAGE_WRITTEN`."""
    return [(*row, leaf_hash) for row, leaf_hash in zip(rows, leaf_hashes, strict=True)]


def relied_rows(relied: Mapping[ConsentDay, ConsentGrowth]) -> list[tuple[Any, ...]]:
    """Return uses of consents as rows of `RELIED_COLUMNS`."""
    return [(*day, *growth) for day, growth in relied.items()]


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
            entry.consent,
        )
        for entry in refusals
    ]
