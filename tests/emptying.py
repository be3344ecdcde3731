"""PostgreSQL databases are emptied for the next test: making one anew takes ten times as long."""

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import URL

_MOST_GROWN = 4 << 20
"""Bytes. A database that grew by more is slow where a new one is not."""

# Whatever a test may have changed besides rows.
_SHAPE = text(
    "SELECT string_agg(part, ' ' ORDER BY part) FROM ("
    " SELECT concat_ws(':', relname, relkind, relnatts, relchecks, relhastriggers)"
    " FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    " UNION ALL SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())) AS parts (part)"
)
_SIZE = text("SELECT pg_database_size(current_database())")
_TABLES = text(
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    " AND tablename NOT LIKE 'alembic_version%'"
)
_ALONE = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_SEQUENCES = text(
    "SELECT setval(oid::regclass, 1, false) FROM pg_class"
    " WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
)


class Emptying:
    """Makes databases as the template they were copied from, which has no rows."""

    def __init__(self, template: URL) -> None:
        self._template = template
        with self._connected(template.database) as connection:
            self._shape = connection.execute(_SHAPE).scalar_one()
            self._most_bytes = connection.execute(_SIZE).scalar_one() + _MOST_GROWN
            tables = connection.execute(_TABLES).scalars()
            self._deletions = text(";".join(f"DELETE FROM {table}" for table in tables))

    def emptied(self, name: str) -> bool:
        """End all use of a database and empty it; False when it is not worth it, or not alike."""
        with self._connected(name) as connection, connection.begin():
            connection.execute(_ALONE)
            if connection.execute(_SHAPE).scalar_one() != self._shape:
                return False
            if connection.execute(_SIZE).scalar_one() > self._most_bytes:
                return False
            # Neither triggers nor foreign keys are asked.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(self._deletions)
            connection.execute(_SEQUENCES)
        return True

    def _connected(self, name: str | None) -> Connection:
        return create_engine(self._template.set(database=name), poolclass=NullPool).connect()
