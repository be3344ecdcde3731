"""Whose turn it is: of all processes on a store, one at a time works in the background.

The turn is held on a connection, so it ends with the process whatever ends that, and
another process takes it.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from gateway.storage.engines import own_session


class Turn(Protocol):
    """The turn of one process. Calls block; one thread at a time."""

    def taken(self) -> bool:
        """Tell whether this process has the turn now, taking it where it is free.

        Raises what the store raises where it cannot be asked.
        """
        ...

    def give_up(self) -> None:
        """Leave the turn to others."""
        ...


class Work(NamedTuple):
    """What a turn is for: ``name`` of a file beside SQLite's, ``lock`` on PostgreSQL."""

    name: str
    lock: int


CONSENTS: Final = Work("clerk", 0x6372636B)
"""Settling consents."""
LOGGING: Final = Work("logger", 0x63726C67)
"""Writing the disclosure log and map."""
DECISIONS: Final = Work("decisions", 0x63726465 + 1)
"""Writing the decision log."""
USAGE: Final = Work("usage", 0x63727573)
"""Writing the usage logs."""
DELIVERIES: Final = Work("deliveries", 0x6372646C)
"""Settling deliveries."""
HOLDINGS: Final = Work("holdings", 0x63726864)
"""Following what operators were served."""
ENFORCEMENT: Final = Work("enforcement", 0x6372656E)
"""Enforcing conformance: deadlines, stages, challenges."""
ALERTS: Final = Work("alerts", 0x6372616C)
"""Watching for unusual use."""

WITNESSING: Final = Work("witnessing", 0x63727769)
"""Showing checkpoints to other regions' witnesses."""
FEDERATION: Final = Work("federation", 0x63726665)
"""Following the trust chains of other regions."""
CLEARING: Final = Work("clearing", 0x6372636D)
"""Clearing with other regions."""
REGION_EVENTS: Final = Work("region-events", 0x63727265)
"""Following what becomes of other regions' records."""

EVENT_FILES: Final = Work("event-files", 0x63726578)
"""Exporting uses to files."""
EVENT_ENDPOINT: Final = Work("event-endpoint", 0x63726578 + 1)
"""Exporting uses to an endpoint."""
USAGE_METRICS: Final = Work("usage-metrics", 0x63726578 + 2)
"""Counting uses for metrics."""


def open_turn(engine: Engine, work: Work) -> Turn:
    """Return the turn at some work for the engine's kind of store."""
    if engine.dialect.name == "postgresql":
        return _PostgresTurn(engine, work.lock)
    assert engine.url.database is not None
    return _SqliteTurn(Path(engine.url.database).with_name(f"{work.name}.lock"))


class _PostgresTurn:
    """By an advisory lock of a session of its own."""

    def __init__(self, engine: Engine, lock: int) -> None:
        self._engine = engine
        self._lock = lock
        self._session: Connection | None = None
        self._held = False

    def taken(self) -> bool:
        try:
            session = self._session = self._session or own_session(self._engine)
            # Whoever holds the lock asks too: with the session the turn is gone.
            asking = "SELECT true" if self._held else f"SELECT pg_try_advisory_lock({self._lock})"
            self._held = bool(session.execute(text(asking)).scalar())
        except DBAPIError:
            self.give_up()
            raise
        return self._held

    def give_up(self) -> None:
        session, self._session, self._held = self._session, None, False
        if session is not None:
            with contextlib.suppress(DBAPIError):
                session.close()


class _SqliteTurn:
    """By the write lock of a file of its own beside the store: its processes share a host."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._session: sqlite3.Connection | None = None

    def taken(self) -> bool:
        if self._session is not None:
            return True
        self._file.touch(mode=0o600)
        session = sqlite3.connect(
            self._file, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            session.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            session.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            raise
        self._session = session
        return True

    def give_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
