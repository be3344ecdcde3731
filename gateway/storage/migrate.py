"""Bring a store's schema up to date by Alembic, from inside the program.

On SQLite all migrations of a schema are one transaction. On PostgreSQL each is one of its own, so
that none holds the locks of those before it while others serve; and a statement that waits for a
lock gives up soon and is tried again, since whoever comes after it waits behind it.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from gateway.storage.engines import Engines, reading

Schema = Literal["authority", "records", "evidence"]
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_MIGRATION_LOCK: Final = 0x63726D67
LOCK_SECONDS: Final = 2
"""How long a migration waits for a lock on PostgreSQL before it lets others pass."""
STATEMENT_SECONDS: Final = 30
"""How long one statement of a migration may take on PostgreSQL, the lock held: longer ones have to
work in steps, or concurrently, in an autocommit block."""
_TRIES: Final = 30
_PAUSE_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 0.2
# Alembic keeps what it works on in globals of its own: one at a time in a process.
_ALEMBIC: Final = Lock()


class MigrationBlocked(RuntimeError):
    """A migration could not get its lock, or was not done in time; nothing of it is left."""


def alembic_config(schema: Schema) -> Config:
    """Return the Alembic configuration of one schema's migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / schema))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = _version_table(schema)
    return config


def upgrade(engine: Engine, schema: Schema, partitions: int | None = None) -> None:
    """Apply every migration of ``schema`` that ``engine`` has not seen.

    ``partitions`` is in how many parts a table is made that comes in parts on PostgreSQL.

    Several processes and threads may call it at once: the first does the work. Raises
    MigrationBlocked on PostgreSQL where others hold a lock for too long.
    """
    if _stands(engine, schema):
        return
    config = alembic_config(schema)
    config.attributes["partitions"] = partitions
    run(engine, config)


def _stands(engine: Engine, schema: Schema) -> bool:
    # As at most starts: neither a lock is needed then, nor the migrations' code.
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": _version_table(schema)}
        )
        return context.get_current_heads() == _heads(schema)


@cache
def _heads(schema: Schema) -> tuple[str, ...]:
    return tuple(ScriptDirectory.from_config(alembic_config(schema)).get_heads())


def _version_table(schema: Schema) -> str:
    return f"alembic_version_{schema}"


def run(engine: Engine, config: Config, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply every migration of ``config``; see `upgrade`. ``pause`` waits between two tries."""
    with _ALEMBIC:
        if engine.dialect.name != "postgresql":
            with engine.begin() as connection:
                _apply(connection, config)
            return
        for left in reversed(range(_TRIES)):
            try:
                with _alone(engine) as connection:
                    _apply(connection, config)
                return
            except OperationalError as error:
                if not isinstance(error.orig, LockNotAvailable | QueryCanceled):
                    raise
                if not left or isinstance(error.orig, QueryCanceled):
                    raise MigrationBlocked(
                        "A migration waits for a transaction that lasts too long, or takes too long"
                        " itself; see pg_stat_activity, end what holds the lock, and start again."
                    ) from None
            pause(_PAUSE_SECONDS)


def _apply(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Generator[Connection]:
    """Give a session, in no transaction, that is the only one to migrate, within time limits."""
    asked = text(f"SELECT pg_try_advisory_lock({_MIGRATION_LOCK})")
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
