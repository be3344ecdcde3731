"""Engines: one for authority (small, watched for changes), one for records and usage, one
for evidence (what proves the disclosure, and what is known of copies).

On SQLite they are three files, on PostgreSQL three pools of one database: watching authority
never waits for the ledger, and the ledger never for what is worked out after it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

_READS: Final = "creditgate_reads"
_BUSY_MILLISECONDS: Final = 10_000
_FILES: Final = ("authority.db", "records.db", "evidence.db")
# Request ids are random, so the ledger's index is written all over: at SQLite's own 1,000
# pages most of it would be copied into the file again and again.
_CHECKPOINT_PAGES: Final = 8_192
_AUTHORITY_CONNECTIONS: Final = 4
_RECORDS_CONNECTIONS: Final = 16
_EVIDENCE_CONNECTIONS: Final = 8
_MORE_CONNECTIONS: Final = 4
# A server that vanished is given up after some 10 seconds, and another connection tried;
# without these a read would hang for as long as TCP does.
_GIVING_UP: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "4",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one installation."""

    authority: Engine
    records: Engine
    evidence: Engine

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.authority.dispose()
        self.records.dispose()
        self.evidence.dispose()


def open_engines(database: str, home: Path) -> Engines:
    """Open the stores: ``database`` is "sqlite" (files below ``home``) or a PostgreSQL URL."""
    if database == "sqlite":
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The files hold what is not public; SQLite gives its own beside them the same mode.
        for name in _FILES:
            (home / name).touch(mode=0o600)
        return Engines(*(sqlite_engine(home / name) for name in _FILES))
    return Engines(
        postgresql_engine(database, _AUTHORITY_CONNECTIONS),
        postgresql_engine(database, _RECORDS_CONNECTIONS),
        postgresql_engine(database, _EVIDENCE_CONNECTIONS),
    )


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
            f"busy_timeout={_BUSY_MILLISECONDS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
            "journal_size_limit=67108864",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(_READS, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgresql_engine(database: str, connections: int) -> Engine:
    """Open a PostgreSQL database through psycopg, at READ COMMITTED.

    ``connections`` are kept open, a few more opened when all are busy. What ``database``,
    a URL, itself says of time limits stands. A server or role set to
    synchronous_commit=off is overruled: a commit would answer before it is durable.
    """
    url = make_url(database).set(drivername="postgresql+psycopg")
    engine = create_engine(
        url.update_query_dict({**_GIVING_UP, **url.query}),
        pool_size=connections,
        max_overflow=_MORE_CONNECTIONS,
        pool_pre_ping=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.close()
        connection.commit()

    return engine


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Give a connection that only reads: it takes no lock and sees each statement's own
    newest committed state."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
        else:
            yield connection.execution_options(**{_READS: True})
