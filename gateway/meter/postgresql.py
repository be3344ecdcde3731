"""The usage ledger on PostgreSQL, where several processes write it at once.

A transaction locks its operators first, in one order for all: so quotas are exact,
what it reads of a request holds until it commits, no two wait for each other, and the
sequences of one operator's answers follow the order of commit. The consents it relies on
are locked after that, shared: who changes one holds nothing else that it could wait for.
"""

import json
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Final
from zlib import crc32

from psycopg.errors import LockNotAvailable
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from consent.relied import ConsentVersion
from consent.tables import CONSENT, CONSENT_REMOVAL
from gateway.disclose.store import ENDING_LOCK
from gateway.disclose.tables import REVISIONS
from gateway.meter.either_store import OnEitherStore
from gateway.meter.holds import DayCount, DayUse
from gateway.meter.holds_sql import beyond_of, held_of
from gateway.meter.model import (
    ConsentDay,
    ConsentGrowth,
    ConsentUse,
    EarlierAnswer,
    QuotaDay,
    RefusalEntry,
    UsageClaim,
    UsageRow,
)
from gateway.meter.quota_sql import borne_of
from gateway.meter.store import (
    EARLIER_COLUMNS,
    HAS_ENDED,
    IS_ANSWER,
    IS_REMOVED,
    REFUSAL_COLUMNS,
    USAGE_COLUMNS,
    USAGE_WRITTEN,
    LedgerTransaction,
    Statements,
    add_relied,
    consent_uses,
    read_consent_uses,
    refusal_rows,
    relied_rows,
    text_of,
    usage_rows,
)
from gateway.meter.tables import QUOTA, REFUSALS, USAGE
from gateway.storage.bounded import limits
from gateway.storage.hung import end_hung_sessions

_OPERATOR_LOCKS: Final = 0x63726D75
_LOCKED: Final = (
    func.unnest(bindparam("locks", type_=ARRAY(Integer))).table_valued("key").render_derived()
)
# In this order, with no trip to the server more: a process that hangs must not hold what it locks,
# and it must not wait without end for what another holds.
_LOCK: Final = union_all(
    select(literal_column(limits())),
    select(
        cast(func.pg_advisory_xact_lock_shared(literal_column(str(ENDING_LOCK))), Text),
    ),
    select(
        cast(func.pg_advisory_xact_lock(literal_column(str(_OPERATOR_LOCKS)), _LOCKED.c.key), Text)
    ),
)
_ASKED: Final = (
    func.unnest(
        bindparam("operators", type_=ARRAY(String)),
        bindparam("requests", type_=ARRAY(String)),
        bindparam("chunks", type_=ARRAY(Integer)),
    )
    .table_valued("operator_id", "request_id", "chunk")
    .render_derived()
)
_CONSENTS: Final = (
    select(CONSENT.c.consent_id, CONSENT.c.version)
    .where(CONSENT.c.consent_id == func.any(bindparam("consents", type_=ARRAY(String))))
    .with_for_update(read=True)
)
_RELIED: Final = (
    func.unnest(bindparam("consents", type_=ARRAY(String)), bindparam("days", type_=ARRAY(Integer)))
    .table_valued("consent_id", "day")
    .render_derived()
)
_REMOVED: Final = select(CONSENT_REMOVAL.c.consent_id).where(
    CONSENT_REMOVAL.c.consent_id == func.any(bindparam("consents", type_=ARRAY(String))),
    IS_REMOVED,
)
_OTHER: Final = USAGE.alias("other")
_FIRST: Final = (
    select(func.min(_OTHER.c.chunk).label("chunk"))
    .where(_OTHER.c.operator_id == _ASKED.c.operator_id, _OTHER.c.request_id == _ASKED.c.request_id)
    .lateral("first")
)
_OF_REQUEST: Final = (
    (USAGE.c.operator_id == _ASKED.c.operator_id)
    & (USAGE.c.request_id == _ASKED.c.request_id)
    & IS_ANSWER
)
_EARLIER: Final = select(*EARLIER_COLUMNS).select_from(
    _ASKED.join(_FIRST, true()).join(
        USAGE, _OF_REQUEST & USAGE.c.chunk.in_([_ASKED.c.chunk, _FIRST.c.chunk])
    )
)
_ANSWERED: Final = select(*USAGE_COLUMNS).join_from(
    _ASKED, USAGE, _OF_REQUEST & (USAGE.c.chunk == _ASKED.c.chunk)
)
_ENDED: Final = select(REVISIONS.c.sequence).where(
    REVISIONS.c.sequence == func.any(bindparam("sequences", type_=ARRAY(BigInteger))),
    HAS_ENDED,
)
_DAYS: Final = (
    func.unnest(
        bindparam("operators", type_=ARRAY(String)), bindparam("days", type_=ARRAY(Integer))
    )
    .table_valued("operator_id", "day")
    .render_derived()
)
_USED: Final = select(
    _DAYS.c.operator_id,
    _DAYS.c.day,
    func.coalesce(QUOTA.c.used, literal_column("0")),
    held_of(_DAYS.c.operator_id),
    beyond_of(_DAYS.c.operator_id),
    borne_of("postgresql", _DAYS.c.operator_id, _DAYS.c.day),
).select_from(
    _DAYS.outerjoin(
        QUOTA, (QUOTA.c.operator_id == _DAYS.c.operator_id) & (QUOTA.c.day == _DAYS.c.day)
    )
)


class PostgresLedgerStore:
    """`LedgerStore` on connections of the engine's pool, at READ COMMITTED."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = _statements()

    @contextmanager
    def transaction(self, claims: Sequence[UsageClaim]) -> Generator[LedgerTransaction]:
        """Give a transaction; see `LedgerStore.transaction`."""
        held = self._engine.raw_connection()
        try:
            cursor = held.cursor()
            if claims:
                # By itself: only statements begun with the locks held see all they guard.
                cursor.execute(self._statements.lock, (_locks(claims),))
            yield _PostgresTransaction(cursor, self._statements)
            held.commit()
        except BaseException as error:
            # Closing rolls back, and what failed once is not used again.
            held.invalidate()
            if isinstance(error, LockNotAvailable):
                end_hung_sessions(self._engine)
            raise
        held.close()

    @contextmanager
    def at_once(self) -> Generator[None]:
        """Give None: each statement waits for the server."""
        yield None

    def commit(self) -> None:
        """Do nothing: nothing is written at once."""

    def close(self) -> None:
        """Do nothing: between transactions connections are the pool's."""


def lock_operator(connection: Connection, operator_id: str) -> None:
    """Take the ledger's lock on an operator until the transaction (`bounded`) ends; on SQLite who
    writes has it already."""
    if connection.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock(_OPERATOR_LOCKS, _lock(operator_id))
        connection.execute(select(lock))


def _locks(claims: Sequence[UsageClaim]) -> list[int]:
    return sorted({_lock(claim.operator_id) for claim in claims})


def _lock(operator_id: str) -> int:
    return crc32(operator_id.encode()) - (1 << 31)


class _PostgresStatements(Statements):
    def __init__(self) -> None:
        dialect = PGDialect_psycopg(paramstyle="format")
        super().__init__(dialect)
        self.lock = text_of(_LOCK, dialect)
        self.add_usage = _copy(USAGE, USAGE_WRITTEN)
        self.add_refusals = _copy(REFUSALS, REFUSAL_COLUMNS)
        self.earlier = text_of(_EARLIER, dialect)
        self.answered = text_of(_ANSWERED, dialect)
        self.add_relied = add_relied(dialect)
        self.consents = text_of(_CONSENTS, dialect)
        self.consent_uses = text_of(consent_uses(_RELIED), dialect)
        self.removed = text_of(_REMOVED, dialect)
        self.ended = text_of(_ENDED, dialect)
        self.used = text_of(_USED, dialect)


@cache
def _statements() -> _PostgresStatements:
    return _PostgresStatements()


def _copy(table: Table, columns: Sequence[str]) -> str:
    return f"COPY {table.name} ({','.join(columns)}) FROM STDIN"


class _PostgresTransaction(OnEitherStore[_PostgresStatements]):
    """`LedgerTransaction`."""

    def changed(self, consents: Collection[ConsentVersion]) -> set[ConsentVersion]:
        """Return the consents that are another version; rows stay locked (FOR SHARE)."""
        self._cursor.execute(self._statements.consents, ([each[0] for each in consents],))
        return set(consents).difference(self._cursor.fetchall())

    def consent_uses(self, days: Iterable[ConsentDay]) -> dict[ConsentDay, ConsentUse]:
        """Return the use of consents."""
        self._cursor.execute(self._statements.consent_uses, _columns(days))
        return read_consent_uses(self._cursor)

    def removed(self, consent_ids: Collection[str]) -> set[str]:
        """Return the consents whose copies were removed; their rows are locked by `changed`."""
        self._cursor.execute(self._statements.removed, (list(consent_ids),))
        return {row[0] for row in self._cursor.fetchall()}

    def ended(self, sequences: Collection[int]) -> set[int]:
        """Return the revisions disclosed no more."""
        self._cursor.execute(self._statements.ended, (list(sequences),))
        return {row[0] for row in self._cursor.fetchall()}

    def earlier(self, claims: Iterable[UsageClaim]) -> list[EarlierAnswer]:
        """Return earlier answers of the same requests."""
        self._cursor.execute(
            self._statements.earlier, _columns({claim.answer_key for claim in claims})
        )
        return [EarlierAnswer(*row) for row in self._cursor.fetchall()]

    def answered(self, claims: Iterable[UsageClaim]) -> list[UsageRow]:
        """Return the earlier answers of the same requests and chunks."""
        self._cursor.execute(
            self._statements.answered, _columns({claim.answer_key for claim in claims})
        )
        return [UsageRow(*row) for row in self._cursor.fetchall()]

    def used(self, days: Iterable[QuotaDay], now: int) -> dict[QuotaDay, DayUse]:
        """Return what is taken of quotas."""
        self._cursor.execute(self._statements.used, (now, now, *_columns(days)))
        return {
            QuotaDay(operator_id, day): DayUse(used, held, json.loads(borne), beyond)
            for operator_id, day, used, held, beyond, borne in self._cursor.fetchall()
        }

    def write(
        self,
        rows: Sequence[UsageRow],
        leaf_hashes: Sequence[bytes],
        grown: Mapping[QuotaDay, DayCount],
        relied: Mapping[ConsentDay, ConsentGrowth],
        refusals: Sequence[RefusalEntry],
    ) -> None:
        """Write what became of the group."""
        if rows:
            self._copy(self._statements.add_usage, usage_rows(rows, leaf_hashes))
        self._statements.quotas.write(self._cursor, grown)
        if relied:
            self._cursor.executemany(self._statements.add_relied, relied_rows(relied))
        if refusals:
            self._copy(self._statements.add_refusals, refusal_rows(refusals))

    def _copy(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        # COPY costs a fifth of what INSERT does, on both ends.
        with self._cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
