"""What a database holds, told so that two databases can be compared."""

from typing import Final

from sqlalchemy import Engine, MetaData, inspect, text

from consent.tables import METADATA as CONSENTING
from gateway.alerts.tables import METADATA as ALERTS
from gateway.audit.fact_tables import METADATA as AUDIT
from gateway.conformance.finding_tables import METADATA as FINDINGS
from gateway.conformance.holdings_tables import METADATA as HOLDINGS
from gateway.conformance.removal_tables import METADATA as REMOVALS
from gateway.conformance.uptime_tables import METADATA as UPTIME
from gateway.disclose.tables import METADATA as DISCLOSURE
from gateway.exports.tables import METADATA as EXPORTS
from gateway.federation.asking.event_tables import METADATA as REGION_EVENTS
from gateway.federation.asking.removal_tables import METADATA as REGION_REMOVALS
from gateway.federation.asking.tables import METADATA as REGION_USES
from gateway.federation.clearing.amount_tables import METADATA as CLEARING_AMOUNTS
from gateway.federation.clearing.tables import METADATA as CLEARING
from gateway.federation.recognition.tables import METADATA as RECOGNISING
from gateway.federation.witness.tables import METADATA as WITNESSING
from gateway.meter.delivery_tables import METADATA as DELIVERIES
from gateway.meter.rates_tables import METADATA as RATES
from gateway.meter.region_asks import METADATA as REGION_ASKS
from gateway.meter.replays import METADATA as REPLAYS
from gateway.meter.tables import METADATA as METERING
from gateway.oauth.tables import METADATA as ASSERTIONS
from gateway.reports.tables import METADATA as REPORTS
from gateway.settlement.tables import METADATA as SETTLEMENT
from gateway.signin.tables import METADATA as SIGNING_IN
from gateway.storage.engines import Engines
from gateway.storage.migrate import Schema
from gateway.storage.writes import METADATA as WRITES
from gateway.transparency.map_tables import METADATA as MAP
from gateway.transparency.tables import METADATA as LOGS
from gateway.usage.tables import METADATA as USAGE_LOGS
from operators.tables import METADATA as AUTHORITY

TABLES: Final[dict[Schema, tuple[MetaData, ...]]] = {
    "authority": (AUTHORITY, ASSERTIONS, SIGNING_IN),
    "records": (
        DISCLOSURE,
        METERING,
        DELIVERIES,
        RATES,
        CONSENTING,
        REGION_USES,
        REGION_EVENTS,
        REGION_ASKS,
        REPLAYS,
    ),
    "evidence": (
        LOGS,
        AUDIT,
        MAP,
        HOLDINGS,
        FINDINGS,
        REMOVALS,
        REGION_REMOVALS,
        REPORTS,
        WRITES,
        USAGE_LOGS,
        SETTLEMENT,
        EXPORTS,
        ALERTS,
        WITNESSING,
        CLEARING,
        CLEARING_AMOUNTS,
        RECOGNISING,
        UPTIME,
    ),
}
_TABLES: Final = (
    "FROM {schema}.sqlite_master AS t JOIN {columns} WHERE t.type = 'table'"
    " AND t.name NOT LIKE 'alembic_version%'"
)
# The text of a table says in what order its columns came; that is not looked at.
_SQLITE: Final = (
    'SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk '
    + _TABLES.format(schema="{schema}", columns="pragma_table_xinfo(t.name, '{schema}') AS c"),
    'SELECT t.name, i.name, i."unique", i.origin, i.partial, c.seqno, c.name '
    + _TABLES.format(
        schema="{schema}",
        columns="pragma_index_list(t.name, '{schema}') AS i"
        " JOIN pragma_index_info(i.name, '{schema}') AS c",
    ),
    "SELECT tbl_name, name, sql FROM {schema}.sqlite_master WHERE type NOT IN ('table', 'index')"
    " OR type = 'index' AND sql IS NOT NULL",
    'SELECT t.name, k.seq, k."table", k."from", k."to" '
    + _TABLES.format(schema="{schema}", columns="pragma_foreign_key_list(t.name, '{schema}') AS k"),
    "SELECT name, wr, strict FROM pragma_table_list WHERE type = 'table' AND schema = '{schema}'"
    " AND name NOT LIKE 'alembic_version%' AND name NOT LIKE 'sqlite_%'",
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


# Parts of tables belong to them.
_WHOLE: Final = text(
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
    " AND relnamespace = 'public'::regnamespace"
)


def tables_in(engine: Engine) -> set[str]:
    """Return the tables there are, whatever file they are in, without parts of tables."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return set(connection.execute(_WHOLE).scalars())
        found = inspect(connection)
        return {
            name for file in found.get_schema_names() for name in found.get_table_names(schema=file)
        }


def engine_of(engines: Engines, schema: Schema) -> Engine:
    """Return the engine a schema lives behind."""
    engine: Engine = getattr(engines, schema)
    return engine


def catalogue(engine: Engine) -> set[tuple[object, ...]]:
    """Return every table, column, index and constraint, Alembic's own left out, whatever
    file they are in."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            files = [row.name for row in connection.execute(text("PRAGMA database_list"))]
            queries = [query.format(schema=file) for file in files for query in _SQLITE]
        else:
            queries = list(_POSTGRESQL)
        return {tuple(row) for query in queries for row in connection.execute(text(query))}
