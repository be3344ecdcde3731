"""Stores that fail, hang or stop answering, for a while."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from gateway.storage.engines import sqlite_engine


@contextmanager
def broken(engine: Engine) -> Generator[None]:
    """Make every reading of the log fail."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE authority_log RENAME TO away"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO authority_log"))


@contextmanager
def hanging(engine: Engine) -> Generator[None]:
    """Make every reading of the log hang, until the end."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE authority_log IN ACCESS EXCLUSIVE MODE"))
            yield
        return
    path = engine.url.database
    assert path is not None
    holder = sqlite_engine(Path(path))
    connection = holder.raw_connection()
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=10")
    cursor.execute("PRAGMA locking_mode=EXCLUSIVE")
    _keep_the_file(cursor.execute, engine)
    yield
    cursor.execute("ROLLBACK")
    connection.invalidate()
    holder.dispose()


def _keep_the_file(execute: Callable[[str], object], engine: Engine) -> None:
    """Lock readers out too, which is possible once no other connection is open."""
    for _ in range(500):
        engine.dispose()
        with contextlib.suppress(sqlite3.OperationalError):
            execute("BEGIN EXCLUSIVE")
            return
    raise AssertionError("the file could not be locked")


@contextmanager
def frozen(pids: Sequence[int]) -> Generator[None]:
    """Freeze processes."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        assert psutil.Process(pid).name().startswith("postgres")
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
