"""Bring a store's schema up to date by Alembic, from inside the program.

On SQLite all migrations of a schema are one transaction. On PostgreSQL each is one of its own, so
that none holds the locks of those before it while others serve; and a statement that waits for a
lock gives up soon and is tried again, since whoever comes after it waits behind it. A store of a
newer version is left as it is (`gateway.storage.versions`).
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import SQLITE_BUSY
from sqlite3 import OperationalError as SqliteError
from threading import Lock
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from gateway.storage.engines import Engines, reading
from gateway.storage.versions import line_of, stands

Schema = Literal["authority", "records", "evidence"]
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
TURN: Final = 0x63726D67
"""The advisory lock on PostgreSQL of whose turn it is to migrate."""
LOCK_SECONDS: Final = 2
"""How long a migration waits for a lock on PostgreSQL before it lets others pass."""
STATEMENT_SECONDS: Final = 30
"""How long one statement of a migration may take on PostgreSQL, the lock held: longer ones have to
work in steps, or concurrently, in an autocommit block."""
_TRIES: Final = 30
# Each waits for as long as a writer does (`gateway.storage.engines`).
_SQLITE_TRIES: Final = 12
_PAUSE_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 0.2
_POSTGRESQL: Final = (
    "A migration waits for a transaction that lasts too long, or takes too long itself; see"
    " pg_stat_activity, end what holds the lock, and start again."
)
_SQLITE: Final = (
    "A migration waits for another process that writes the store; end it, or wait until it has"
    " migrated, and start again."
)
# Alembic keeps what it works on in globals of its own: one at a time in a process.
_ALEMBIC: Final = Lock()


class MigrationBlocked(RuntimeError):
    """A migration could not get its lock, or was not done in time; nothing of it is left."""


def alembic_config(schema: Schema) -> Config:
    """Return the Alembic configuration of one schema's migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / schema))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = f"alembic_version_{schema}"
    return config


def upgrade(engine: Engine, schema: Schema, partitions: int | None = None) -> None:
    """Apply every migration of ``schema`` that ``engine`` has not seen.

    ``partitions`` is in how many parts a table is made that comes in parts on PostgreSQL.

    Several processes and threads may call it at once: the first does the work. A store that a
    newer version has migrated, and beside which this one may serve, is left as it is. Raises
    StoreOfNewerVersion where it may not, and MigrationBlocked where others hold a lock for too long.
    """
    config = alembic_config(schema)
    # As at most starts: no lock is needed then.
    if _stands(engine, config):
        return
    config.attributes["partitions"] = partitions
    run(engine, config)


def _stands(engine: Engine, config: Config) -> bool:
    with reading(engine) as connection:
        line = line_of(str(config.get_main_option("script_location")))
        return stands(connection, config.attributes["version_table"], line)


def run(engine: Engine, config: Config, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply every migration of ``config``; see `upgrade`. ``pause`` waits between two tries."""
    on_postgresql = engine.dialect.name == "postgresql"
    with _ALEMBIC:
        for left in reversed(range(_TRIES if on_postgresql else _SQLITE_TRIES)):
            try:
                with _alone(engine) if on_postgresql else engine.begin() as connection:
                    _apply(engine, connection, config)
                return
            except OperationalError as error:
                if not _is_for_others(error.orig):
                    raise
                if not left or isinstance(error.orig, QueryCanceled):
                    raise MigrationBlocked(_POSTGRESQL if on_postgresql else _SQLITE) from None
            pause(_PAUSE_SECONDS)


def _is_for_others(error: BaseException | None) -> bool:
    """Tell whether a migration waited for another transaction in vain, or others for it too long."""
    if isinstance(error, SqliteError):
        return error.sqlite_errorcode == SQLITE_BUSY
    return isinstance(error, LockNotAvailable | QueryCanceled)


def _apply(engine: Engine, connection: Connection, config: Config) -> None:
    # Whoever had the turn before may have been of a newer version.
    if _stands(engine, config):
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Generator[Connection]:
    """Give a session, in no transaction, that is the only one to migrate, within time limits."""
    asked = text(f"SELECT pg_try_advisory_lock({TURN})")
    with engine.connect() as connection:
        try:
            # Asked again and again: an index made concurrently waits for every statement under
            # way, and would for one that waits here.
            while not connection.execute(asked).scalar_one():
                connection.rollback()
                time.sleep(_TURN_SECONDS)
            for name, seconds in (
                ("lock_timeout", LOCK_SECONDS),
                ("statement_timeout", STATEMENT_SECONDS),
            ):
                connection.execute(text(f"SET SESSION {name} = '{seconds}s'"))
            connection.commit()
            yield connection
        finally:
            # The session ends, and with it lock and limits.
            connection.invalidate()


def upgrade_all(engines: Engines, partitions: int | None = None) -> None:
    """Bring every schema up to date; see `upgrade`."""
    upgrade(engines.authority, "authority")
    upgrade(engines.records, "records", partitions)
    upgrade(engines.evidence, "evidence")
