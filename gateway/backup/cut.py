"""One instant of all SQLite files of an installation, seen while others go on writing.

Whoever looks takes the write locks of all of them for as long as it takes to begin a reading of
each, some milliseconds, and lets go: what is then copied at leisure is what a power failure at
that instant would have left, which every start can take.
"""

import sqlite3
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from gateway.storage.engines import DISCLOSURE, sqlite_files

_LOCK_SECONDS: Final = 2.0
"""Shorter than a gateway waits for a lock: where each waits for the other, the copy gives way."""
_ATTEMPTS: Final = 20
_APART_SECONDS: Final = 0.25


class StoreBusy(RuntimeError):
    """The stores were never free of writers at once."""


class NoStores(RuntimeError):
    """There is no installation with SQLite's files."""


@contextmanager
def cut(home: Path) -> Generator[Mapping[str, sqlite3.Connection]]:
    """Give a connection to each file below ``home`` by its name, all reading one instant.

    Raises NoStores, StoreBusy, and sqlite3.Error where a file cannot be read.
    """
    files = sqlite_files(home)
    if not all(file.exists() for file in files.values()):
        raise NoStores(f"There are no stores in {home}; is `home` right (CREDITGATE_HOME)?")
    with ExitStack() as stack:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                yield _read_at_once(files, stack)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                if attempt == _ATTEMPTS:
                    raise StoreBusy("The stores are busy; try again.") from None
                stack.close()
                time.sleep(_APART_SECONDS)


def _read_at_once(files: Mapping[str, Path], stack: ExitStack) -> dict[str, sqlite3.Connection]:
    reading = {name: stack.enter_context(closing(_opened(file))) for name, file in files.items()}
    with ExitStack() as locks:
        for file in (files["records.db"], files["authority.db"], files["evidence.db"]):
            locking = locks.enter_context(closing(_opened(file)))
            if file == files["records.db"]:
                locking.execute(
                    f"ATTACH DATABASE ? AS {DISCLOSURE}", (str(files["disclosure.db"]),)
                )
            locking.execute("BEGIN IMMEDIATE")
        for connection in reading.values():
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return reading


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.as_uri()}?mode=rw", uri=True, timeout=_LOCK_SECONDS, isolation_level=None
    )
    connection.execute("PRAGMA synchronous=FULL")
    return connection
