"""The usage ledger on SQLite: BEGIN IMMEDIATE keeps every other writer out."""

import json
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, Table, bindparam, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPICursor

from gateway.disclose.tables import REVISIONS
from gateway.meter.model import EarlierAnswer, QuotaDay, RefusalEntry, UsageClaim
from gateway.meter.store import (
    EARLIER_COLUMNS,
    HAS_ENDED,
    REFUSAL_COLUMNS,
    USAGE_COLUMNS,
    LedgerTransaction,
    Statements,
    read_head,
    refusal_rows,
    text_of,
    usage_rows,
    write_used,
)
from gateway.meter.tables import QUOTA, REFUSALS, USAGE

_OF_REQUEST: Final = (
    USAGE.c.operator_id == bindparam("operator_id"),
    USAGE.c.request_id == bindparam("request_id"),
)
_EARLIER: Final = select(*EARLIER_COLUMNS).where(
    *_OF_REQUEST,
    USAGE.c.chunk.in_(
        [bindparam("chunk"), select(func.min(USAGE.c.chunk)).where(*_OF_REQUEST).scalar_subquery()]
    ),
)
_ENDED: Final = select(REVISIONS.c.sequence).where(
    REVISIONS.c.sequence.in_(select(func.json_each(bindparam("sequences")).table_valued("value"))),
    HAS_ENDED,
)
_USED: Final = select(QUOTA.c.used).where(
    QUOTA.c.operator_id == bindparam("operator_id"), QUOTA.c.day == bindparam("day")
)


class SqliteLedgerStore:
    """`LedgerStore` on connections of the engine's pool."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = _SqliteStatements()

    @contextmanager
    def transaction(self, claims: Sequence[UsageClaim]) -> Generator[LedgerTransaction]:
        """Give a transaction; see `LedgerStore.transaction`."""
        del claims  # one writer at a time, whoever the operators are
        held = self._engine.raw_connection()
        try:
            cursor = held.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            yield _SqliteTransaction(cursor, self._statements)
            cursor.execute("COMMIT")
        except BaseException:
            # Closing rolls back, and what failed once is not used again.
            held.invalidate()
            raise
        held.close()


class _SqliteStatements(Statements):
    def __init__(self) -> None:
        dialect = sqlite.dialect()
        super().__init__(dialect)
        self.add_usage = _insert(USAGE, USAGE_COLUMNS)
        self.add_refusals = _insert(REFUSALS, REFUSAL_COLUMNS)
        self.earlier = text_of(_EARLIER, dialect)
        self.ended = text_of(_ENDED, dialect)
        self.used = text_of(_USED, dialect)


def _insert(table: Table, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table.name} ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"  # noqa: S608


class _SqliteTransaction:
    """`LedgerTransaction`."""

    def __init__(self, cursor: DBAPICursor, statements: _SqliteStatements) -> None:
        self._cursor = cursor
        self._statements = statements

    def head(self) -> int:
        """Return the newest event's sequence."""
        return read_head(self._cursor, self._statements)

    def ended(self, sequences: Collection[int]) -> set[int]:
        """Return the revisions disclosed no more."""
        self._cursor.execute(self._statements.ended, (json.dumps(list(sequences)),))
        return {row[0] for row in self._cursor.fetchall()}

    def earlier(self, claims: Iterable[UsageClaim]) -> list[EarlierAnswer]:
        """Return earlier answers of the same requests."""
        found: list[EarlierAnswer] = []
        execute, fetchall = self._cursor.execute, self._cursor.fetchall
        statement = self._statements.earlier
        for claim in claims:
            request = claim.operator_id, claim.request_id
            execute(statement, (*request, claim.chunk, *request))
            found.extend([EarlierAnswer(*row) for row in fetchall()])
        return found

    def used(self, days: Iterable[QuotaDay]) -> dict[QuotaDay, int]:
        """Return the records counted."""
        found: dict[QuotaDay, int] = {}
        for day in days:
            self._cursor.execute(self._statements.used, day)
            if row := self._cursor.fetchone():
                found[day] = row[0]
        return found

    def write(
        self,
        charged: Sequence[UsageClaim],
        grown: Mapping[QuotaDay, int],
        refusals: Sequence[RefusalEntry],
    ) -> None:
        """Write what became of the group."""
        if charged:
            self._cursor.executemany(self._statements.add_usage, usage_rows(charged))
        write_used(self._cursor, self._statements, grown)
        if refusals:
            self._cursor.executemany(self._statements.add_refusals, refusal_rows(refusals))
