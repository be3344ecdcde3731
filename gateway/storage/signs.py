"""Signs that a SQLite file has news: asked often, and on the event loop, since each costs a few
microseconds where reading by a thread costs hundreds.

PostgreSQL tells of news by itself (LISTEN), and is read across a network by threads.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Engine, Executable, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

Sign = Callable[[], object]
"""Returns what is another value as soon as there is news; raises what the store raises."""

# Another value on a connection as soon as any other has committed to the file.
# Source: SQLite, PRAGMA data_version.
ANY_COMMIT = text("PRAGMA data_version")


def open_sign(engine: Engine, asking: Executable, stack: ExitStack) -> Sign | None:
    """Return the sign that a statement's one value is, None where the store is no SQLite.

    It is asked by one thread, on a connection held open until ``stack`` closes.
    """
    if engine.dialect.name != "sqlite":
        return None
    assert isinstance(asking, ClauseElement)
    statement = str(
        asking.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    )
    held = engine.raw_connection()
    held.detach()
    stack.callback(held.close)
    cursor: Any = held.cursor()

    def sign() -> object:
        ((value,),) = cursor.execute(statement).fetchall()
        return value

    return sign
