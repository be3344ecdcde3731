"""PostgreSQL databases are emptied for the next test: making one anew takes ten times as long."""

from typing import Any, Final, LiteralString

import psycopg
from psycopg import Connection, sql

_MOST_BYTES: Final = 4 << 20
"""Bytes of tables with rows. A database that grew by more is slow where a new one is not."""

# Whatever a test may have changed besides rows.
_SHAPE: Final[LiteralString] = (
    "SELECT string_agg(part, ' ' ORDER BY part) FROM ("
    " SELECT concat_ws(':', relname, relkind, relnatts, relchecks, relhastriggers)"
    " FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    " UNION ALL SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())) AS parts (part)"
)
_SIZE: Final[LiteralString] = (
    "SELECT coalesce(sum(pg_total_relation_size(name::regclass)), 0) FROM unnest(%s::text[]) AS t (name)"
)
_TABLES: Final[LiteralString] = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    " AND tablename NOT LIKE 'alembic_version%'"
)
_ALONE: Final[LiteralString] = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_SEQUENCES: Final[LiteralString] = (
    "SELECT setval(format('public.%I', sequencename)::regclass, 1, false) FROM pg_sequences"
    " WHERE schemaname = 'public' AND last_value IS NOT NULL"
)


class Emptying:
    """Makes databases as the template they were copied from, which has no rows.

    It stays connected to each: to connect takes longer than to empty.
    """

    def __init__(self, template: str) -> None:
        """``template`` is the URL of a database like those."""
        self._connections: dict[str, Connection] = {}
        with psycopg.connect(template) as connection:
            self._shape = _told(connection, _SHAPE)
            tables = [str(name) for (name,) in connection.execute(_TABLES)]
        self._filled = sql.SQL("SELECT array_remove(ARRAY[{}]::text[], NULL)").format(
            sql.SQL(",").join(
                sql.SQL("CASE WHEN EXISTS (SELECT FROM {}) THEN {} END").format(
                    sql.Identifier(name), sql.Literal(name)
                )
                for name in tables
            )
        )

    def emptied(self, database: str) -> bool:
        """End all use of a database, a URL, and empty it; False when it is not worth it, or not
        alike, and it is to be given up."""
        try:
            return self._emptied(self._connected(database))
        except psycopg.OperationalError:
            # A test may have ended all connections.
            self.leave(database)
            return self._emptied(self._connected(database))

    def _emptied(self, connection: Connection) -> bool:
        with connection.transaction():
            connection.execute(_ALONE)
            if _told(connection, _SHAPE) != self._shape:
                return False
            filled: list[str] = _told(connection, self._filled)
            if _told(connection, _SIZE, filled) > _MOST_BYTES:
                return False
            for table in filled:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            connection.execute(_SEQUENCES)
        return True

    def _connected(self, database: str) -> Connection:
        connection = self._connections.get(database)
        if connection is None:
            connection = psycopg.connect(database, autocommit=True, prepare_threshold=1)
            # Neither triggers nor foreign keys are asked. Said once: each time it is, all that
            # is prepared is planned anew.
            connection.execute("SET session_replication_role = replica")
            self._connections[database] = connection
        return connection

    def leave(self, database: str) -> None:
        """Close the connection to a database that is given up."""
        if connection := self._connections.pop(database, None):
            connection.close()

    def close(self) -> None:
        """Close all connections."""
        for database in list(self._connections):
            self.leave(database)


def _told(
    connection: Connection, statement: LiteralString | sql.Composed, *parameters: object
) -> Any:
    row = connection.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]
