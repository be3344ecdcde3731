"""What a database holds, told so that two databases can be compared."""

from typing import Final

from sqlalchemy import Engine, MetaData, text

from gateway.disclose.tables import METADATA as DISCLOSURE
from gateway.meter.tables import METADATA as METERING
from gateway.oauth.tables import METADATA as ASSERTIONS
from gateway.signin.tables import METADATA as SIGNING_IN
from gateway.storage.engines import Engines
from gateway.storage.migrate import Schema
from operators.tables import METADATA as AUTHORITY

TABLES: Final[dict[Schema, tuple[MetaData, ...]]] = {
    "authority": (AUTHORITY, ASSERTIONS, SIGNING_IN),
    "records": (DISCLOSURE, METERING),
}
_SQLITE: Final = (
    "SELECT type, tbl_name, name, sql FROM sqlite_master"
    " WHERE tbl_name NOT LIKE 'alembic_version%' AND sql IS NOT NULL",
)
_POSTGRESQL: Final = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,"
    " column_default FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name NOT LIKE 'alembic_version%'",
    "SELECT tablename, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic_version%'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace"
    " AND conrelid::regclass::text NOT LIKE 'alembic_version%'",
)


def engine_of(engines: Engines, schema: Schema) -> Engine:
    """Return the engine a schema lives behind."""
    return engines.authority if schema == "authority" else engines.records


def catalogue(engine: Engine) -> set[tuple[object, ...]]:
    """Return every table, column, index and constraint, Alembic's own left out."""
    queries = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRESQL
    with engine.connect() as connection:
        return {tuple(row) for query in queries for row in connection.execute(text(query))}
