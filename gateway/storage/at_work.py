"""Who is at work on a store, so that what all of them go by is changed while none does.

A process of the gateway reads the keys of the store's logs as it starts, and goes by them to its end:
so long it is at work. Whoever changes them is alone. Either ends with the process, whatever ends that;
on PostgreSQL a process is at work by the session that hears of authority (`gateway.authority.bell`).
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from sqlalchemy import Engine, text

from gateway.storage.engines import own_session

LOCK: Final = 0x63726177
"""The advisory lock on PostgreSQL: shared by who is at work, held by who is alone."""
PATIENT_SECONDS: Final = 10.0
"""So long a process that starts waits for who is alone."""
AGAIN_SECONDS: Final = 0.1
"""So often it asks meanwhile."""
_ENDING_SECONDS: Final = 3.0
"""So long who is to be alone on PostgreSQL waits for those that have just ended: a session is there for
a moment longer than its process."""
_FILE: Final = "at-work.lock"
_SHARED: Final = ("BEGIN", "SELECT count(*) FROM sqlite_master")
_ALONE: Final = ("BEGIN EXCLUSIVE",)


class StillAtWork(RuntimeError):
    """A process is at work on the store, or another changes what all go by."""

    def __init__(self) -> None:
        super().__init__(
            "A gateway is at work on this store, or another command changes its keys: stop the gateway"
            " first, on every host, then run this again. Nothing was changed."
        )


class KeysChanging(RuntimeError):
    """Whoever is alone on the store did not end in time."""

    def __init__(self) -> None:
        super().__init__(
            "The keys of this store's logs are being changed by another command: start the gateway"
            " once that has ended."
        )


class AtWork:
    """Being at work on SQLite, whose processes share a host. Calls block; one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._file = _file_of(engine)
        self._session: sqlite3.Connection | None = None

    def taken(self) -> bool:
        """Tell whether this process is at work from now on; not where somebody is alone. Raises
        sqlite3.Error and OSError."""
        if self._session is None:
            self._session = _locked(self._file, _SHARED)
        return self._session is not None

    def give_up(self) -> None:
        """Be at work no more."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


@contextmanager
def alone(engine: Engine) -> Generator[None]:
    """Be alone on an engine's store while the context lasts.

    Raises StillAtWork where somebody is at work, OSError, and what the store raises.
    """
    if engine.dialect.name == "postgresql":
        with closing(own_session(engine)) as session:
            asking = text(f"SELECT pg_try_advisory_lock({LOCK})")
            if not _soon(lambda: session.execute(asking).scalar_one()):
                raise StillAtWork
            yield
        return
    lock = _locked(_file_of(engine), _ALONE)
    if lock is None:
        raise StillAtWork
    with closing(lock):
        yield


def _soon(asked: Callable[[], bool]) -> bool:
    """Tell whether it is so by the time that sessions of those that ended are gone."""
    give_up = monotonic() + _ENDING_SECONDS
    while not asked():
        if monotonic() > give_up:
            return False
        sleep(AGAIN_SECONDS)
    return True


def _file_of(engine: Engine) -> Path:
    assert engine.url.database is not None
    return Path(engine.url.database).with_name(_FILE)


def _locked(file: Path, statements: tuple[str, ...]) -> sqlite3.Connection | None:
    """Return the session that holds a lock of ``file``, None where another's keeps it from that."""
    file.touch(mode=0o600)
    session = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        for statement in statements:
            session.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        session.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return None
        raise
    return session
