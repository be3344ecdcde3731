"""Engines: one for authority (small, watched for changes), one for records and usage.

On SQLite they are two files, so that watching authority never waits for the ledger;
on PostgreSQL both are the same database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

_READS = "creditgate_reads"
_BUSY_MILLISECONDS = 10_000
_MAPPED_BYTES = 1 << 36


@dataclass(frozen=True, slots=True)
class Engines:
    """The two engines of one installation."""

    authority: Engine
    records: Engine

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.authority.dispose()
        self.records.dispose()


def open_engines(database: str, home: Path) -> Engines:
    """Open the stores: ``database`` is "sqlite" (files below ``home``) or a PostgreSQL URL."""
    if database == "sqlite":
        home.mkdir(parents=True, exist_ok=True)
        return Engines(sqlite_engine(home / "authority.db"), sqlite_engine(home / "records.db"))
    engine = postgresql_engine(database)
    return Engines(engine, engine)


def sqlite_engine(path: Path) -> Engine:
    """Open a SQLite file in WAL mode with synchronous=FULL.

    Transactions take the write lock at once (BEGIN IMMEDIATE), so that a transaction
    that reads before it writes can never fail half-way with SQLITE_BUSY_SNAPSHOT;
    connections from `reading` do not.
    """
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={_BUSY_MILLISECONDS}",
            f"mmap_size={_MAPPED_BYTES}",
            "journal_size_limit=67108864",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(_READS, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgresql_engine(url: str) -> Engine:
    """Open a PostgreSQL database through psycopg, at READ COMMITTED."""
    plain = url.replace("postgres://", "postgresql://", 1)
    return create_engine(
        plain.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=16, pool_pre_ping=True
    )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that only reads: it takes no lock and sees each statement's own
    newest committed state."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
        else:
            yield connection.execution_options(**{_READS: True})
