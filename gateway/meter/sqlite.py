"""The usage ledger on SQLite: BEGIN IMMEDIATE keeps every other writer out."""

import json
import sqlite3
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError
from time import monotonic_ns, sleep
from typing import Final

from sqlalchemy import (
    Engine,
    Integer,
    String,
    Table,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPICursor

from consent.relied import ConsentVersion
from consent.tables import CONSENT, CONSENT_CHANGE, CONSENT_REMOVAL
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
from gateway.meter.sqlite_earlier import answered, earlier
from gateway.meter.store import (
    HAS_ENDED,
    IS_REMOVED,
    REFUSAL_COLUMNS,
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
from gateway.storage.host_queue import HostQueue

# One statement for a whole group: each step of SQLite lets go of the interpreter lock and
# takes it again, which costs more than the step where the event loop wants it too.
_ASKS: Final = func.json_each(bindparam("asks")).table_valued("value")
_AS_DECIDED: Final = select(
    func.json_extract(_ASKS.c.value, literal_column("'$[0]'"), type_=String).label("consent_id"),
    func.json_extract(_ASKS.c.value, literal_column("'$[1]'"), type_=Integer).label("version"),
).subquery("decided")
_CONSENT_HEAD: Final = select(func.max(CONSENT_CHANGE.c.sequence))
# Of what is asked for here nearly nothing is found: a row costs as much as a statement.
_CHANGED: Final = select(_AS_DECIDED).where(
    ~exists().where(
        CONSENT.c.consent_id == _AS_DECIDED.c.consent_id,
        CONSENT.c.version == _AS_DECIDED.c.version,
    )
)
_RELIED: Final = select(
    func.json_extract(_ASKS.c.value, literal_column("'$[0]'"), type_=String).label("consent_id"),
    func.json_extract(_ASKS.c.value, literal_column("'$[1]'"), type_=Integer).label("day"),
).subquery("relied")
_REMOVED: Final = select(CONSENT_REMOVAL.c.consent_id).where(
    CONSENT_REMOVAL.c.consent_id.in_(
        select(func.json_each(bindparam("consents")).table_valued("value"))
    ),
    IS_REMOVED,
)
_QUEUE_FILE: Final = "ledger.lock"
_PAUSE: Final = timedelta(microseconds=250).total_seconds()
_NANOSECONDS_A_MILLISECOND: Final = 1_000_000
# How long who must not wait may take for a group, which is ten times what one of many takes, after
# how many of its steps SQLite looks, and for how long all is left to others then.
_MOST_AT_ONCE: Final = 50 * _NANOSECONDS_A_MILLISECOND
_STEPS: Final = 100
_REST: Final = 5_000 * _NANOSECONDS_A_MILLISECOND
_BLOCKS: Final = tuple(1 << power for power in reversed(range(8)))
# Request ids are random, so each claim looks at pages of its own in the ledger's index.
_CACHE_KIBIBYTES: Final = 8_192
_MOST_UNCHANGED: Final = 65_536
_ENDED: Final = select(REVISIONS.c.sequence).where(
    REVISIONS.c.sequence.in_(select(func.json_each(bindparam("sequences")).table_valued("value"))),
    HAS_ENDED,
)
_USED: Final = select(
    func.coalesce(
        select(QUOTA.c.used)
        .where(QUOTA.c.operator_id == bindparam("operator_id"), QUOTA.c.day == bindparam("day"))
        .scalar_subquery(),
        literal_column("0"),
    ),
    held_of(bindparam("holder")),
    beyond_of(bindparam("beyond_whose")),
    borne_of("sqlite", bindparam("bearer"), bindparam("borne_on")),
)


class SqliteLedgerStore:
    """`LedgerStore` on a connection held open: to take one for each group costs more than
    a claim."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = _statements()
        self._unchanged = _Unchanged()
        self._held: _Held | None = None
        self._leave_until = 0

    @contextmanager
    def transaction(self, claims: Sequence[UsageClaim]) -> Generator[LedgerTransaction]:
        """Give a transaction; see `LedgerStore.transaction`."""
        del claims  # one writer at a time, whoever the operators are
        held = self._held = self._held or _Held(self._engine)
        with self._closed_if_failing():
            held.begin()
            yield _SqliteTransaction(held.cursor, self._statements, self._unchanged)
            held.commit()

    @contextmanager
    def at_once(self) -> Generator[LedgerTransaction | None]:
        """Give a transaction where a connection is held, nobody else writes and the disk is quick.

        What is read is mostly in memory. Where it is not a statement waits for the disk: then it is
        broken off, and for a while all is left to who may wait.
        """
        began, held = monotonic_ns(), self._held
        if held is None or began < self._leave_until:
            yield None
            return
        try:
            with self._closed_if_failing():
                if held.begun_at_once(began + _MOST_AT_ONCE):
                    yield _SqliteTransaction(held.cursor, self._statements, self._unchanged)
                    held.may_wait()
                else:
                    yield None
        finally:
            if (now := monotonic_ns()) > began + _MOST_AT_ONCE:
                self._leave_until = now + _REST

    def commit(self) -> None:
        """Make durable what was written at once."""
        held = self._held
        assert held is not None, "a transaction was begun"
        with self._closed_if_failing():
            held.commit()

    @contextmanager
    def _closed_if_failing(self) -> Generator[None]:
        """Close the connection on any failure: that rolls back, and what failed once is not used
        again."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


class _Held:
    """A connection of the ledger's own, and how long it waits for the write lock."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        driver = self._connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self._driver = driver
        self._connection.detach()
        self.cursor = self._connection.cursor()
        self.cursor.execute("PRAGMA busy_timeout")
        ((milliseconds,),) = self.cursor.fetchall()
        self._patience = milliseconds * _NANOSECONDS_A_MILLISECOND
        # SQLite itself waits in steps of up to a tenth of a second, and so gets its turn
        # last where a bulk load takes the lock again and again. Claims have a caller waiting.
        self.cursor.execute("PRAGMA busy_timeout=0")
        self.cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
        assert engine.url.database is not None
        # Other processes that serve write as often: they wait here, and only others at SQLite's lock.
        self._queue = HostQueue(Path(engine.url.database).with_name(_QUEUE_FILE))

    def begin(self) -> None:
        """Take the write lock; raises what the driver raises when it is not to be had."""
        give_up = monotonic_ns() + self._patience
        self._queue.wait()
        while not self._begun(last_try=monotonic_ns() >= give_up):
            sleep(_PAUSE)

    def begun_at_once(self, until: int) -> bool:
        """Take the write lock if nobody has it or waits for it, for statements that are broken off
        from ``until`` (ns, monotonic) on; raises as `begin`."""
        if not self._queue.entered_at_once():
            return False
        if self._begun(last_try=False):
            self._driver.set_progress_handler(lambda: monotonic_ns() > until, _STEPS)
            return True
        self._queue.leave()
        return False

    def may_wait(self) -> None:
        """Let statements take as long as they do."""
        self._driver.set_progress_handler(None, 0)

    def _begun(self, *, last_try: bool) -> bool:
        try:
            self.cursor.execute("BEGIN IMMEDIATE")
        except OperationalError as error:
            if last_try or error.sqlite_errorcode != SQLITE_BUSY:
                raise
            return False
        return True

    def commit(self) -> None:
        """Make durable what was written, and give back the lock."""
        self.cursor.execute("COMMIT")
        self._queue.leave()

    def close(self) -> None:
        try:
            self._connection.close()
        finally:
            self._queue.close()


class _SqliteStatements(Statements):
    def __init__(self) -> None:
        dialect = sqlite.dialect()
        super().__init__(dialect)
        self.add_usage = {rows: _insert(USAGE, USAGE_WRITTEN, rows) for rows in _BLOCKS}
        self.add_refusals = {rows: _insert(REFUSALS, REFUSAL_COLUMNS, rows) for rows in _BLOCKS}
        self.add_relied = {rows: add_relied(dialect, rows) for rows in _BLOCKS}
        self.changed = text_of(_CHANGED, dialect)
        self.consent_head = text_of(_CONSENT_HEAD, dialect)
        self.consent_uses = text_of(consent_uses(_RELIED), dialect)
        self.removed = text_of(_REMOVED, dialect)
        self.ended = text_of(_ENDED, dialect)
        self.used = text_of(_USED, dialect)


@cache
def _statements() -> _SqliteStatements:
    return _SqliteStatements()


def _insert(table: Table, columns: Sequence[str], rows: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    places = ",".join([row] * rows)
    # What fails is rolled back with all else: for OR FAIL SQLite keeps no journal of the
    # statement, which would cost as much as its rows.
    return f"INSERT OR FAIL INTO {table.name} ({','.join(columns)}) VALUES {places}"  # noqa: S608


class _Unchanged:
    """Consents that were found to be what they were decided by, since no consent changed.

    Each is a row among many large ones; that none changed is a single number.
    """

    def __init__(self) -> None:
        self._head: int | None = None
        self._versions: set[ConsentVersion] = set()

    def unknown(self, consents: Iterable[ConsentVersion], head: int | None) -> set[ConsentVersion]:
        """Return those that have to be looked at, where ``head`` is the newest change."""
        if head != self._head or len(self._versions) >= _MOST_UNCHANGED:
            self._head = head
            self._versions.clear()
        return set(consents) - self._versions

    def keep(self, consents: set[ConsentVersion]) -> None:
        """Remember consents until any changes."""
        self._versions |= consents


class _SqliteTransaction(OnEitherStore[_SqliteStatements]):
    """`LedgerTransaction`."""

    def __init__(
        self, cursor: DBAPICursor, statements: _SqliteStatements, unchanged: _Unchanged
    ) -> None:
        super().__init__(cursor, statements)
        self._unchanged = unchanged

    def changed(self, consents: Collection[ConsentVersion]) -> set[ConsentVersion]:
        """Return the consents that are another version."""
        self._cursor.execute(self._statements.consent_head)
        ((head,),) = self._cursor.fetchall()
        unknown = self._unchanged.unknown(consents, head)
        if not unknown:
            return unknown
        self._cursor.execute(self._statements.changed, (json.dumps(list(unknown)),))
        changed = {ConsentVersion(*row) for row in self._cursor.fetchall()}
        self._unchanged.keep(unknown - changed)
        return changed

    def consent_uses(self, days: Iterable[ConsentDay]) -> dict[ConsentDay, ConsentUse]:
        """Return the use of consents."""
        self._cursor.execute(self._statements.consent_uses, (json.dumps(list(days)),))
        return read_consent_uses(self._cursor)

    def removed(self, consent_ids: Collection[str]) -> set[str]:
        """Return the consents whose copies were removed."""
        self._cursor.execute(self._statements.removed, (json.dumps(list(consent_ids)),))
        return {row[0] for row in self._cursor.fetchall()}

    def ended(self, sequences: Collection[int]) -> set[int]:
        """Return the revisions disclosed no more."""
        self._cursor.execute(self._statements.ended, (json.dumps(list(sequences)),))
        return {row[0] for row in self._cursor.fetchall()}

    def earlier(self, claims: Iterable[UsageClaim]) -> list[EarlierAnswer]:
        """Return earlier answers of the same requests."""
        return earlier(self._cursor, claims)

    def answered(self, claims: Iterable[UsageClaim]) -> list[UsageRow]:
        """Return the earlier answers of the same requests and chunks."""
        return answered(self._cursor, claims)

    def used(self, days: Iterable[QuotaDay], now: int) -> dict[QuotaDay, DayUse]:
        """Return what is taken of quotas."""
        found: dict[QuotaDay, DayUse] = {}
        for day in days:
            at = (day.operator_id, now)
            self._cursor.execute(self._statements.used, (*day, *at, *at, *day))
            ((used, held, beyond, borne),) = self._cursor.fetchall()
            found[day] = DayUse(used, held, json.loads(borne), beyond)
        return found

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
            self._insert(self._statements.add_usage, usage_rows(rows, leaf_hashes))
        self._statements.quotas.write(self._cursor, grown)
        if relied:
            self._insert(self._statements.add_relied, relied_rows(relied))
        if refusals:
            self._insert(self._statements.add_refusals, refusal_rows(refusals))

    def _insert(self, statements: Mapping[int, str], rows: Sequence[tuple[object, ...]]) -> None:
        start = 0
        for block, statement in statements.items():
            while len(rows) - start >= block:
                self._cursor.execute(
                    statement, list(chain.from_iterable(rows[start : start + block]))
                )
                start += block
