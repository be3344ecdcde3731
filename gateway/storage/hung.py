"""Sessions of PostgreSQL whose process hangs in the midst of a COPY, or of statements that it sends
together (a pipeline), or after these.

For the rest of them the server waits without end: its limit on idle transactions is for what comes
after, and there it is lifted where the output was asked for once more (`consent.connections.limits`).
So whoever waited in vain for a lock has such sessions ended.
Source: PostgreSQL, src/backend/tcop/postgres.c, ProcessClientReadInterrupt and PostgresMain.
"""

import logging
from contextlib import suppress
from typing import Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

BOUND_MARK: Final = 0x63726D69
"""As `consent.connections.BOUND_MARK` and `operators.sql.BOUND_MARK`: who says so keeps to it."""
_log = logging.getLogger(__name__)
# Who works on a statement, and yet waits for its client. Of copies only the ledger's: somebody may
# load a table of his own slowly.
_END: Final = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user"
    " AND (state = 'active' AND wait_event = 'ClientRead'"
    " AND query_start < clock_timestamp() - interval '1 second'"
    " AND (query NOT ILIKE 'COPY%' OR query LIKE 'COPY usage_answers (%'"
    " OR query LIKE 'COPY refusals (%')"
    " OR state = 'idle in transaction' AND EXISTS (SELECT FROM pg_locks"
    " WHERE pg_locks.pid = pg_stat_activity.pid AND locktype = 'advisory' AND objsubid = 2"
    " AND classid = :mark"
    " AND state_change < clock_timestamp() - objid::bigint * interval '1 second'))"
)


def end_hung_sessions(engine: Engine) -> None:
    """End the sessions of the engine's user that have waited for a second for the rest of what their
    process sends, or for longer than they said they would be idle; what they had begun is undone. Where that fails all stays as it is."""
    with (
        suppress(DBAPIError, PoolTimeout),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        if ended := connection.execute(_END, {"mark": BOUND_MARK}).all():
            _log.warning("sessions ended whose process hangs: %d", len(ended))


def end_them_when_locks_are_not_given(engine: Engine) -> None:
    """Have every statement of an engine that gave up a lock do `end_hung_sessions`."""

    @event.listens_for(engine, "handle_error")
    def look(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, LockNotAvailable):
            end_hung_sessions(engine)
