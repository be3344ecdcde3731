"""Signs that a store has news: asked often, and on the event loop, since each costs a few
microseconds where reading by a thread costs hundreds.

Of a SQLite file its own count of commits is asked. PostgreSQL is read across a network, so one
thread of a process asks it for all, and what it said last is the sign (`gateway.storage.snapshots`).
"""

from contextlib import ExitStack
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, Executable, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

from gateway.storage.engines import DISCLOSURE, Engines
from gateway.storage.snapshots import Sign, open_snapshot_sign

# Another value on a connection as soon as any other has committed to the file.
# Source: SQLite, PRAGMA data_version.
ANY_COMMIT: Final = text("PRAGMA data_version")
_DISCLOSED: Final = text(f"PRAGMA {DISCLOSURE}.data_version")


class StoreSigns(NamedTuple):
    """The signs that anything was committed to one of SQLite's files, or to PostgreSQL, where all
    are one; each None where the store has none. Any number may ask, all on the event loop."""

    authority: Sign | None = None
    records: Sign | None = None
    disclosure: Sign | None = None
    evidence: Sign | None = None


def open_signs(engines: Engines, stack: ExitStack) -> StoreSigns:
    """Return the signs of one installation's stores, open until ``stack`` closes."""
    if engines.authority.dialect.name == "postgresql":
        committed = open_snapshot_sign(engines.authority, stack)
        return StoreSigns(committed, committed, committed, committed)
    return StoreSigns(
        open_sign(engines.authority, ANY_COMMIT, stack),
        open_sign(engines.records, ANY_COMMIT, stack),
        open_sign(engines.records, _DISCLOSED, stack),
        open_sign(engines.evidence, ANY_COMMIT, stack),
    )


def any_of(*signs: Sign | None) -> Sign | None:
    """Return the sign that shows the news of each, None where one of them is."""
    known = [sign for sign in signs if sign is not None]
    return None if len(known) < len(signs) else lambda: tuple([sign() for sign in known])


def open_waiting_sign(engine: Engine, asking: Executable, stack: ExitStack) -> Sign | None:
    """Return the sign that something waits which whoever is told takes away: news as long as a
    statement's one value is true, and no news of its going. None where the store is no SQLite.

    All else is as of `open_sign`.
    """
    waiting = open_sign(engine, asking, stack)
    if waiting is None:
        return None
    # No two objects are alike: what waits is news whatever waited before.
    return lambda: object() if waiting() else None


def open_sign(engine: Engine, asking: Executable, stack: ExitStack) -> Sign | None:
    """Return the sign that a statement's one value is, None where the store is no SQLite.

    ``asking`` is the same object each time, as a constant is. It is asked by one thread, on a connection held open until ``stack`` closes.
    """
    if engine.dialect.name != "sqlite":
        return None
    statement = _text_of(asking)
    held = engine.raw_connection()
    held.detach()
    stack.callback(held.close)
    cursor: Any = held.cursor()

    def sign() -> object:
        ((value,),) = cursor.execute(statement).fetchall()
        return value

    return sign


@cache
def _text_of(asking: Executable) -> str:
    assert isinstance(asking, ClauseElement)
    return str(asking.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
