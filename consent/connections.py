"""How consents read, write and take turns, on SQLite and on PostgreSQL.

The engine must be as `operators.sql.SqlAuthorityLog` asks for: durable, and on SQLite a file
whose transactions begin with the write lock, save those of ``creditgate_reads``.
"""

from collections.abc import Generator
from contextlib import contextmanager
from sqlite3 import SQLITE_BUSY
from sqlite3 import OperationalError as SqliteError
from time import monotonic, sleep
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

_PAUSE_SECONDS: Final = 0.000_25


def reader(engine: Engine) -> Engine:
    """Return an engine whose connections take no lock and see what is committed by now."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(creditgate_reads=True)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Give a transaction that is durable when the block has ended, or has done nothing."""
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            yield connection
        return
    with reader(engine).connect() as connection:
        _take_write_lock(connection)
        yield connection
        connection.commit()


def take_turn(connection: Connection, lock: int) -> None:
    """Wait until no other transaction holds ``lock``, and hold it until this one ends.

    SQLite's writers go one after the other already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({lock})"))


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
