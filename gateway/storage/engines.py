"""Engines: one for authority (small, watched for changes), one for records and usage, one
for evidence (what proves the disclosure, and what is known of copies).

On SQLite they have files of their own, on PostgreSQL pools of one database: watching authority
never waits for the ledger, and the ledger never for what is worked out after it.

On SQLite the disclosure is a file of its own beside the rest of the records, attached to each
of their connections: a commit of the ledger then leaves what SQLite remembers of the disclosure
as it is. Whoever is to write takes the locks of both at once, so that the order of serving and
ending is what it is in one file; but no transaction may change both files, since it would not
be whole after a power failure.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import register_adapter
from time import monotonic
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.config import USUAL_CONNECTIONS
from gateway.storage.hung import end_them_when_locks_are_not_given

_READS: Final = "creditgate_reads"
_BUSY_MILLISECONDS: Final = 10_000
_FILES: Final = ("authority.db", "records.db", "evidence.db")
_DISCLOSURE_FILE: Final = "disclosure.db"
DISCLOSURE: Final = "disclosure"
"""What the disclosure's file is attached as."""
# Request ids are random, so each claim changes a page of the ledger's index, and a whole page
# is written for it: half of SQLite's usual size is the cheapest. A file keeps what it began with.
_RECORDS_PAGE_BYTES: Final = 2_048
_PAGE_BYTES: Final = 4_096
# For the same reason at SQLite's own 1,000 pages most of the index would be copied into the
# file again and again.
_CHECKPOINT_BYTES: Final = 32 << 20
_NONE_ATTACHED: Final[Mapping[str, Path]] = MappingProxyType({})
_MORE_CONNECTIONS: Final = 4
_WAIT_SECONDS: Final = 5.0
"""For a connection of a pool that has none free; then the store counts as out of reach."""
_SQLITE_CONNECTIONS: Final = 8
"""Kept open of each file; more are opened when all are busy."""
_USED_AT: Final = "creditgate_used_at"
_TRUSTED_SECONDS: Final = 1.0
# A server that vanished is given up after some 10 seconds, and another connection tried;
# without these a read would hang for as long as TCP does.
# What a server that only follows another tells may be over: a record repaired, a consent revoked (G4).
# Source: PostgreSQL, libpq, target_session_attrs.
_OF_THE_PRIMARY: Final = {"target_session_attrs": "read-write"}
_GIVING_UP: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "4",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


class Pools(NamedTuple):
    """How many connections to PostgreSQL a process keeps open for each of its engines; four more
    are opened of each while all are busy."""

    authority: int
    records: int
    evidence: int

    @classmethod
    def of(cls, records: int) -> "Pools":
        """Return the pools beside one of so many for records: half as many for evidence, which is
        mostly written in the background, and a quarter for authority, which is kept in memory."""
        return cls(max(2, records // 4), records, max(2, records // 2))

    @property
    def most(self) -> int:
        """How many connections a process may have open by them."""
        return sum(self) + len(self) * _MORE_CONNECTIONS


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


def open_engines(database: str, home: Path, connections: int = USUAL_CONNECTIONS) -> Engines:
    """Open the stores: ``database`` is "sqlite" (files below ``home``) or a PostgreSQL URL, to which
    ``connections`` are kept open for records."""
    if database == "sqlite":
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The files hold what is not public; SQLite gives its own beside them the same mode.
        for name in (*_FILES, _DISCLOSURE_FILE):
            (home / name).touch(mode=0o600)
        authority, records, evidence = (home / name for name in _FILES)
        return Engines(
            sqlite_engine(authority),
            sqlite_engine(
                records, {DISCLOSURE: home / _DISCLOSURE_FILE}, page_bytes=_RECORDS_PAGE_BYTES
            ),
            sqlite_engine(evidence),
        )
    return Engines(*(postgresql_engine(database, each) for each in Pools.of(connections)))


def open_for_archive(database: str, home: Path) -> Engines:
    """Open the stores as `open_engines` for what only reads what is over, and so may be told by a
    server of PostgreSQL that follows another."""
    if database == "sqlite":
        return open_engines(database, home)
    engine = postgresql_engine(database, 1, of_the_primary=False)
    return Engines(engine, engine, engine)


def open_for_one(database: str, home: Path) -> Engines:
    """Open the stores as `open_engines` for who does one thing after the other: on PostgreSQL by one
    session for all, since each costs the server as much as what is asked by it."""
    if database == "sqlite":
        return open_engines(database, home)
    engine = postgresql_engine(database, 1)
    return Engines(engine, engine, engine)


def sqlite_files(home: Path) -> dict[str, Path]:
    """Return the files of SQLite stores below ``home`` by their names."""
    return {name: home / name for name in (*_FILES, _DISCLOSURE_FILE)}


def sqlite_engine(
    path: Path, attached: Mapping[str, Path] = _NONE_ATTACHED, *, page_bytes: int = _PAGE_BYTES
) -> Engine:
    """Open a SQLite file in WAL mode with synchronous=FULL, others attached by their names.

    Transactions take the write lock at once (BEGIN IMMEDIATE), so that a transaction
    that reads before it writes can never fail half-way with SQLITE_BUSY_SNAPSHOT;
    connections from `reading` do not.
    """
    # For these the driver looks for an adapter each time, and without one looks on in vain.
    register_adapter(bytes, bytes)
    register_adapter(type(None), lambda nothing: nothing)
    # As many as threads ask at once, whose number is bounded: none waits for a connection.
    engine = create_engine(
        # Not as text, in which some characters of a path would mean something else.
        URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False},
        pool_size=_SQLITE_CONNECTIONS,
        max_overflow=-1,
    )

    pragmas = _pragmas(("main", *attached), page_bytes)

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor: Any = connection.cursor()
        for name, file in attached.items():
            cursor.execute(f"ATTACH DATABASE ? AS {name}", (str(file),))
        cursor.executescript(pragmas)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(_READS, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _pragmas(files: Sequence[str], page_bytes: int) -> str:
    settings = (
        f"busy_timeout={_BUSY_MILLISECONDS}",
        f"main.page_size={page_bytes}",
        f"wal_autocheckpoint={_CHECKPOINT_BYTES // page_bytes}",
        *(
            f"{name}.{setting}"
            for name in files
            for setting in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864")
        ),
    )
    return "".join(f"PRAGMA {setting};" for setting in settings)


def postgresql_engine(database: str, connections: int, *, of_the_primary: bool = True) -> Engine:
    """Open a PostgreSQL database through psycopg, at READ COMMITTED: no connection to a server that
    can only be read, unless ``of_the_primary`` is false.

    ``connections`` are kept open, a few more opened when all are busy. What ``database``,
    a URL, itself says of time limits stands. A server or role set to
    synchronous_commit=off is overruled: a commit would answer before it is durable.
    """
    url = make_url(database).set(drivername="postgresql+psycopg")
    engine = create_engine(
        url.update_query_dict(
            {**_GIVING_UP, **url.query, **(_OF_THE_PRIMARY if of_the_primary else {})}
        ),
        pool_size=connections,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=_WAIT_SECONDS,
    )
    _ask_the_idle(engine)
    end_them_when_locks_are_not_given(engine)

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


def own_session(engine: Engine) -> Connection:
    """Open a session of PostgreSQL for one alone, each statement a transaction of its own; closing it
    ends it. Raises what the store raises."""
    session = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    # Not of the pool any more, which would be one too few for those who share it, nor would end it.
    session.detach()
    return session


def _ask_the_idle(engine: Engine) -> None:
    """Have a connection that nobody used for a while asked whether its server is still there, before
    it is used, and all be made anew where it is not.

    One that was used a moment ago is not: what is asked in vain would be a third of all that a
    gateway asks for which nothing happens, and who finds the server gone has the others made anew.
    Source: SQLAlchemy, "Dealing with Disconnects", custom pessimistic checks.
    """
    driver = engine.dialect.loaded_dbapi

    @event.listens_for(engine, "checkin")
    def note(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_USED_AT] = monotonic()

    @event.listens_for(engine, "checkout")
    def ask(
        connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        used_at = entry.info.get(_USED_AT)
        if used_at is None or monotonic() - used_at < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except driver.Error as error:
            raise InvalidatePoolError from error


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Give a connection that only reads: it takes no lock and sees each statement's own
    newest committed state."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
        else:
            yield connection.execution_options(**{_READS: True})


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """Give a connection whose statements all see the store as it is at the first."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            yield connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
    else:
        with reading(engine) as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
