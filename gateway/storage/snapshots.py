"""The sign that anything was committed to a PostgreSQL: which transactions its next statement would see.

A snapshot names them by the transactions that are still under way and those that have yet to begin.
Whatever wrote takes its number out of these in the same instant in which it is seen, and numbers
never come back: so the snapshot is another one as soon as there is something new to be seen, and
the same as long as there is not. Who follows something reads it only then, where it was asked for
ten times a second by each of a dozen followers before.
Source: PostgreSQL, "System Information Functions", pg_current_snapshot.
"""

import contextlib
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event, Thread
from time import monotonic
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.storage.engines import own_session

Sign = Callable[[], object]
"""Returns what is another value as soon as there is news; raises what the store raises."""

_TICK_SECONDS: Final = 0.05
_STALE_SECONDS: Final = 0.5
"""What was said longer ago is no sign: whoever asks looks for itself."""
_CLOSING_SECONDS: Final = 1.0
_SNAPSHOT: Final = text("SELECT pg_current_snapshot()::text")
# Its coordinator writes to other servers, and takes part in no transaction itself.
_SPREAD: Final = text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')")


def open_snapshot_sign(engine: Engine, stack: ExitStack) -> Sign | None:
    """Return the sign that anything was committed to the server of a database, at most half a
    second behind, open until ``stack`` closes; None where it would not show what is committed to
    servers behind that one.

    Raises what the store raises.
    """
    with engine.connect() as connection:
        if connection.scalar(_SPREAD):
            return None
    snapshots = _Snapshots(engine)
    stack.callback(snapshots.close)
    return snapshots.newest


class _Snapshots:
    """Asks for the snapshot in a thread of its own, on a session held open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None
        self._newest: object = None
        self._read_at = float("-inf")
        self._closing = Event()
        self._thread = Thread(target=self._follow, name="snapshots", daemon=True)
        self._thread.start()

    def newest(self) -> object:
        """Return the newest snapshot, or where none is known what is news to everybody."""
        if monotonic() - self._read_at > _STALE_SECONDS:
            return object()
        return self._newest

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        self._thread.join(_CLOSING_SECONDS)

    def _follow(self) -> None:
        while not self._closing.wait(_TICK_SECONDS):
            asked = monotonic()
            try:
                session = self._session = self._session or own_session(self._engine)
                self._newest = session.scalar(_SNAPSHOT)
                self._read_at = asked
            except SQLAlchemyError:
                # Whoever asks for the sign looks for itself then, and tells of the failure.
                self._leave()
        self._leave()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(SQLAlchemyError):
                session.close()
