"""How consents read, write and take turns, on SQLite and on PostgreSQL.

The engine must be as `operators.sql.SqlAuthorityLog` asks for: durable, and on SQLite a file
whose transactions begin with the write lock, save those of ``creditgate_reads``.
"""

from collections.abc import Generator
from contextlib import contextmanager
from sqlite3 import SQLITE_BUSY
from sqlite3 import OperationalError as SqliteError
from time import monotonic, sleep
from typing import Any, Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, CursorResult, Engine, Executable, text
from sqlalchemy.exc import OperationalError

_PAUSE_SECONDS: Final = 0.000_25
_IDLE_SECONDS: Final = 1
_WAIT_SECONDS: Final = 2
_ONCE_MORE: Final = "500ms"
BOUND_MARK: Final = 0x63726D69
"""The first key of an advisory lock on PostgreSQL that a transaction bound by `limits` shares; the
second is for how many seconds it may be idle."""


def reader(engine: Engine) -> Engine:
    """Return an engine whose connections take no lock and see what is committed by now."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(creditgate_reads=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Give a transaction that is durable when the block has ended, or has done nothing.

    Raises OperationalError for one that waits too long for another, and on PostgreSQL DBAPIError
    for one that was left alone for so long that the server ended it (`limits`); a process stopped between
    two writes of SQLite holds its file whatever is set.
    """
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(text(f"SELECT {limits()}"))
            yield connection
        return
    with reader(engine).connect() as connection:
        _take_write_lock(connection)
        yield connection
        connection.commit()


def limits(idle_seconds: int = _IDLE_SECONDS, wait_seconds: int = _WAIT_SECONDS) -> str:
    """Return the expression by which PostgreSQL ends the transaction that selects it, and its
    session, where its process asks nothing for ``idle_seconds``: one that hangs keeps its locks
    from nobody then. From there on no statement waits for a lock longer than ``wait_seconds``.

    Only for this transaction: a pooler may give the session to others, and some refuse settings
    at the start of one. `BOUND_MARK` shows what was set, for the server forgets to look at the time
    where a client asks for its output once more after a Sync, and drivers do at the end of a pipeline.
    Source: PostgreSQL, src/backend/tcop/postgres.c, PostgresMain (PqMsg_Flush).
    """
    idle = f"set_config('idle_in_transaction_session_timeout', '{idle_seconds}s', true)"
    wait = f"set_config('lock_timeout', '{wait_seconds}s', true)"
    return f"{idle} || {wait} || pg_advisory_xact_lock_shared({BOUND_MARK}, {idle_seconds})::text"


def insist(connection: Connection, statement: Executable) -> CursorResult[Any]:
    """Execute what waits for locks, and on PostgreSQL a second time where it waited in vain: whoever
    listens for that may have ended who hung. From then on the transaction waits shortly alone.

    Raises OperationalError where it did not help.
    """
    if connection.dialect.name == "postgresql":
        try:
            with connection.begin_nested():
                return connection.execute(statement)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
        connection.execute(text(f"SELECT set_config('lock_timeout', '{_ONCE_MORE}', true)"))
    return connection.execute(statement)


def take_turn(connection: Connection, lock: int) -> None:
    """Wait until no other transaction holds ``lock``, and hold it until this one ends.

    SQLite's writers go one after the other already.
    """
    if connection.dialect.name == "postgresql":
        insist(connection, text(f"SELECT pg_advisory_xact_lock({lock})"))


def _take_write_lock(connection: Connection) -> None:
    # SQLite itself waits in steps of up to a tenth of a second. The ledger takes the lock
    # again and again, and a revocation must come between within a second (G4).
    patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    give_up = monotonic() + patience / 1_000
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        while not _begun(connection, last_try=monotonic() >= give_up):
            sleep(_PAUSE_SECONDS)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={patience}")


def _begun(connection: Connection, *, last_try: bool) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        busy = isinstance(error.orig, SqliteError) and error.orig.sqlite_errorcode == SQLITE_BUSY
        if last_try or not busy:
            raise
        return False
    return True
