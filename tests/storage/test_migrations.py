"""Migrations make what the tables say, once, however many ask for it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection

from consent.queries import ConsentQueries
from consent.tables import WRITES
from consent.writes import row_key
from gateway.disclose.tables import LINES
from gateway.meter.replays import REPLAYS
from gateway.reports.store import SqlReports
from gateway.storage.engines import Engines
from gateway.storage.migrate import (
    MigrationBlocked,
    Schema,
    alembic_config,
    run,
    upgrade,
    upgrade_all,
)
from gateway.storage.writes import WRITES as EVIDENCE_WRITES
from gateway.transparency.map_openness import keep_openness
from tests.reports.kept import kept, report_id
from tests.storage.migrating import upgraded
from tests.storage.schemas import TABLES, catalogue, engine_of, tables_in
from tests.stores import PostgresStores, SqliteStores, engines_of

ROOT = Path(__file__).resolve().parents[2]
MIGRATE = """
import sys
from pathlib import Path
from gateway.storage.engines import open_engines
from gateway.storage.migrate import upgrade_all

print("ready", flush=True)
sys.stdin.readline()
engines = open_engines(sys.argv[1], Path(sys.argv[2]))
upgrade_all(engines)
engines.dispose()
"""


@pytest.mark.parametrize("schema", list(TABLES))
def test_migrations_make_exactly_what_the_tables_say(
    stores: SqliteStores | PostgresStores, schema: Schema
) -> None:
    with (
        stores.database(migrated=False) as migrated_store,
        stores.database(migrated=False) as created_store,
        engines_of(*migrated_store) as migrated,
        engines_of(*created_store) as created,
    ):
        upgrade(engine_of(migrated, schema), schema)
        for metadata in TABLES[schema]:
            metadata.create_all(engine_of(created, schema))
        made = catalogue(engine_of(migrated, schema))
        assert made
        assert made == catalogue(engine_of(created, schema))


@pytest.mark.parametrize("schema", list(TABLES))
def test_migrations_can_be_taken_back_and_made_again(engines: Engines, schema: Schema) -> None:
    engine = engine_of(engines, schema)
    other = {table for name in TABLES if name != schema for table in _tables(name)}
    before = catalogue(engine)
    config = alembic_config(schema)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    left = {name for name in tables_in(engine) if "alembic" not in name}
    assert left == (other if engine.dialect.name == "postgresql" else set())
    upgrade(engine, schema)
    assert catalogue(engine) == before


def _tables(schema: Schema) -> set[str]:
    return {table for metadata in TABLES[schema] for table in metadata.tables}


def test_reports_whose_proofs_hold_no_more_are_taken_back(engines: Engines) -> None:
    """Those about items that are protected, or were: evidence 0023."""
    config, reports = alembic_config("evidence"), SqlReports(engines.evidence)
    with engines.evidence.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0022")
        for item, protected in (("open", False), ("closed", True)):
            keep_openness(connection, item, 1, protected=protected)
    for number, items in enumerate((("open",), ("open", "closed"))):
        reports.add(kept(number, items=items, document="a.b.c", request_id=str(number)))
    with engines.evidence.begin() as connection:
        connection.execute(delete(EVIDENCE_WRITES))
    upgrade(engines.evidence, "evidence")
    found = [reports.get(report_id(number)) for number in range(2)]
    assert [each is not None and (each.document, each.revoked_at > 0) for each in found] == [
        ("a.b.c", False),
        ("", True),
    ]
    with engines.evidence.connect() as connection:
        told = connection.execute(
            select(EVIDENCE_WRITES.c.written, EVIDENCE_WRITES.c.row_key)
        ).all()
    assert told == [("credit_reports", json.dumps([report_id(1)]))]


def test_a_migrated_store_is_left_as_it_is(engines: Engines) -> None:
    before = catalogue(engines.authority) | catalogue(engines.records)
    upgrade_all(engines)
    assert catalogue(engines.authority) | catalogue(engines.records) == before


@pytest.mark.parametrize("schema", list(TABLES))
def test_each_schema_has_one_line_of_migrations(schema: Schema) -> None:
    assert len(ScriptDirectory.from_config(alembic_config(schema)).get_heads()) == 1


def test_threads_may_migrate_at_once(stores: SqliteStores | PostgresStores) -> None:
    with stores.database(migrated=False) as store, engines_of(*store) as engines:
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(upgrade_all, engines) for _ in range(4)]:
                done.result()
        assert _complete(engines)


def test_processes_may_migrate_at_once(stores: SqliteStores | PostgresStores) -> None:
    with stores.database(migrated=False) as (database, home):
        starting = [
            subprocess.Popen(
                [sys.executable, "-c", MIGRATE, database, str(home)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for process in starting:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in starting:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in starting:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
        with engines_of(database, home) as engines:
            assert _complete(engines)


@pytest.fixture
def writer(sqlite_stores: SqliteStores) -> Iterator[tuple[Engine, Connection]]:
    """An empty store whose connections wait for a moment, and a transaction that writes it."""
    with sqlite_stores.database(migrated=False) as store, engines_of(*store) as engines:
        engine = engines.records

        @event.listens_for(engine, "connect")
        def wait_a_moment(connection: DBAPIConnection, _entry: object) -> None:
            connection.cursor().execute("PRAGMA busy_timeout=10")

        with engine.connect() as connection, connection.begin():
            yield engine, connection


def test_on_sqlite_who_migrates_waits_until_others_have_written(
    writer: tuple[Engine, Connection],
) -> None:
    engine, writing = writer
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            writing.rollback()

    run(engine, alembic_config("records"), pause=pause)
    assert len(pauses) == 3
    assert _tables("records") <= tables_in(engine)


def test_on_sqlite_who_migrates_says_in_the_end_what_it_waits_for(
    writer: tuple[Engine, Connection],
) -> None:
    pauses: list[float] = []
    with pytest.raises(MigrationBlocked, match="another process that writes"):
        run(writer[0], alembic_config("records"), pause=pauses.append)
    assert len(pauses) > 5


def _complete(engines: Engines) -> bool:
    return all(_tables(schema) <= tables_in(engine_of(engines, schema)) for schema in TABLES)


def test_a_disclosure_kept_with_the_ledger_moves_to_its_own_file(
    sqlite_stores: SqliteStores,
) -> None:
    with sqlite_stores.database(migrated=False) as store, engines_of(*store) as engines:
        config = alembic_config("records")
        with engines.records.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0002")
            connection.execute(insert(LINES).values(line_no=1, item="i", source="s", region="r"))
        # Cut off half-way last time: what is there already is made anew.
        with engines.records.begin() as connection:
            LINES.to_metadata(MetaData(), schema="disclosure").create(connection)
        upgrade_all(engines)
        with engines.records.connect() as connection:
            found = connection.execute(text("SELECT * FROM disclosure.revenue_lines")).all()
        assert found == [(1, "i", "s", "r")]
        assert "revenue_lines" not in inspect(engines.records).get_table_names(schema="main")


def test_removals_owed_before_stay_owed_by_their_deadlines_and_are_logged_anew(
    stores: SqliteStores | PostgresStores,
) -> None:
    with stores.database(migrated=False) as store, engines_of(*store) as engines:
        config = alembic_config("records")
        with engines.records.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0016")
            connection.execute(
                text(
                    "INSERT INTO consent_removals (consent_id, operator_id, deadline, data_life_end,"
                    " acknowledged_by) VALUES ('c-1', 'alpha', 100, 1, '')"
                )
            )
        upgrade_all(engines)
        consents = ConsentQueries(engines.records)
        (removal,) = consents.removals(["c-1"]).values()
        assert (removal.report_by, removal.overdue(99), removal.overdue(100)) == (100, False, True)
        assert consents.owed("alpha", 100) == (1, 100, 1)
        with engines.records.connect() as connection:
            written = connection.execute(select(WRITES.c.written, WRITES.c.row_key)).all()
        # By its own key of then, as one that is there no more, and by that of now.
        assert ("consent_removals", '["c-1"]') in written
        assert ("consent_removals", f'["c-1",{removal.life_until}]') in written


def test_of_several_duties_for_a_consent_the_newest_is_left_when_they_are_taken_back(
    engines: Engines,
) -> None:
    config = alembic_config("records")
    add = text(
        "INSERT INTO consent_removals (consent_id, life_until, operator_id, deadline,"
        " data_life_end, acknowledged_by) VALUES (:consent, :life, 'alpha', :life, 1, '')"
    )
    found = text("SELECT consent_id, life_until FROM consent_removals ORDER BY 1, 2")
    with engines.records.begin() as connection:
        for consent, life in (("c-1", 100), ("c-1", 200), ("c-2", 150)):
            connection.execute(add, {"consent": consent, "life": life})
        config.attributes["connection"] = connection
        command.downgrade(config, "0026")
        assert connection.execute(found).all() == [("c-1", 200), ("c-2", 150)]
    upgrade(engines.records, "records")
    with engines.records.connect() as connection:
        assert connection.execute(found).all() == [("c-1", 200), ("c-2", 150)]


def test_what_operators_attested_and_were_asked_for_is_logged_anew_where_it_says_more(
    stores: SqliteStores | PostgresStores,
) -> None:
    keys = {
        "attestations": "attestation_id",
        "challenges": "challenge_id",
        "findings": "finding_id",
    }
    with stores.database(migrated=False) as store, engines_of(*store) as engines:
        config = alembic_config("evidence")
        with engines.evidence.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0025")
            for name, key in keys.items():
                table = Table(name, MetaData(), autoload_with=connection)
                values = {each.name: _some(each) for each in table.columns}
                connection.execute(insert(table).values(values | {key: f"{name}-1"}))
        upgrade_all(engines)
        with engines.evidence.connect() as connection:
            written = connection.execute(
                select(EVIDENCE_WRITES.c.written, EVIDENCE_WRITES.c.row_key)
            ).all()
    assert {(name, f'["{name}-1"]') for name in keys} <= {(row[0], row[1]) for row in written}


def test_what_other_regions_answered_before_it_was_logged_is_logged(
    stores: SqliteStores | PostgresStores,
) -> None:
    with stores.database(migrated=False) as store, engines_of(*store) as engines:
        upgraded(engines.records, "records", "0031")
        with engines.records.connect() as connection:
            table = Table("region_answers", MetaData(), autoload_with=connection)
        values = {each.name: _some(each) for each in table.columns}
        # More than two pages.
        keys = [
            ("alpha", f"r-{number}", "https://two.example", 5 * number) for number in range(1_003)
        ]
        names = ("operator_id", "request_id", "region", "first_subject")
        rows = [values | dict(zip(names, key, strict=True)) for key in keys]
        with engines.records.begin() as connection:
            connection.execute(insert(table), rows)
        upgrade_all(engines)
        with engines.records.connect() as connection:
            told = connection.execute(
                select(WRITES.c.row_key).where(WRITES.c.written == "region_answers")
            ).scalars()
            assert sorted(told) == sorted(row_key(key) for key in keys)


def test_what_was_given_again_before_it_was_counted_was_so_once_at_least_and_is_logged_anew(
    stores: SqliteStores | PostgresStores,
) -> None:
    with stores.database(migrated=False) as store, engines_of(*store) as engines:
        upgraded(engines.records, "records", "0033")
        with engines.records.begin() as connection:
            table = Table("usage_replays", MetaData(), autoload_with=connection)
            values = {each.name: _some(each) for each in table.columns}
            keys = [("alpha", f"r-{number}", 0, "ab" * 32) for number in range(1_003)]
            names = [column.name for column in REPLAYS.primary_key]
            rows = [values | dict(zip(names, key, strict=True)) for key in keys]
            connection.execute(insert(table), rows)
        upgrade_all(engines)
        with engines.records.connect() as connection:
            told = connection.execute(
                select(WRITES.c.row_key).where(WRITES.c.written == "usage_replays")
            ).scalars()
            assert sorted(told) == sorted(row_key(key) for key in keys)
            assert set(connection.execute(select(REPLAYS.c.times)).scalars()) == {1}


def _some(column: Column[Any]) -> object:
    """Return some value for a column, of whatever type."""
    return column.type.python_type()
