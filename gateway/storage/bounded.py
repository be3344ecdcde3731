"""Transactions of those who serve: on PostgreSQL none keeps its locks for long where its process hangs,
nor waits without end for those of another.

The same as `consent.connections.limits`, which knows nothing of the gateway.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, text

from gateway.storage.hung import BOUND_MARK

LONG_SECONDS: Final = 10
"""After how long one is ended that works for some time between two of its statements; and how long
one waits for such a one that is worth it."""
_IDLE_SECONDS: Final = 1
_WAIT_SECONDS: Final = 2


@contextmanager
def bounded(
    engine: Engine, idle_seconds: int = _IDLE_SECONDS, wait_seconds: int = _WAIT_SECONDS
) -> Generator[Connection]:
    """Give a transaction as ``engine.begin()``, on PostgreSQL bound by `limits` before all else.

    Raises OperationalError for one that waits too long for a lock, and DBAPIError for one that was
    left alone for so long that the server ended it; nothing of it is written then.
    """
    with engine.begin() as connection:
        bound(connection, idle_seconds, wait_seconds)
        yield connection


def bound(
    connection: Connection, idle_seconds: int = _IDLE_SECONDS, wait_seconds: int = _WAIT_SECONDS
) -> None:
    """Have PostgreSQL end the connection's transaction by `limits`; on SQLite do nothing."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT {limits(idle_seconds, wait_seconds)}"))


def limits(idle_seconds: int = _IDLE_SECONDS, wait_seconds: int = _WAIT_SECONDS) -> str:
    """Return what the transaction that selects it is bound by; as `consent.connections.limits`."""
    idle = f"set_config('idle_in_transaction_session_timeout', '{idle_seconds}s', true)"
    wait = f"set_config('lock_timeout', '{wait_seconds}s', true)"
    return f"{idle} || {wait} || pg_advisory_xact_lock_shared({BOUND_MARK}, {idle_seconds})::text"
