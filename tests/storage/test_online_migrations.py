"""Migrations on PostgreSQL let those who serve go on."""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from gateway.storage.engines import Engines
from gateway.storage.migrate import (
    LOCK_SECONDS,
    STATEMENT_SECONDS,
    MigrationBlocked,
    alembic_config,
    run,
    upgrade,
    upgrade_all,
)
from tests.storage.migrating import revisions, said, upgraded
from tests.storage.online import long_locked
from tests.storage.schemas import TABLES, engine_of
from tests.stores import PostgresStores, engines_of

NO_INSTALLATION = "written before the first release: no installation held rows"
LONG_LOCKING = {
    ("records", "0002"): NO_INSTALLATION,
    ("records", "0004"): NO_INSTALLATION,
    ("records", "0010"): NO_INSTALLATION,
    ("records", "0015"): NO_INSTALLATION,
    ("records", "0017"): "made anew only where it is empty",
    ("records", "0019"): NO_INSTALLATION,
    ("records", "0021"): NO_INSTALLATION,
    ("evidence", "0015"): NO_INSTALLATION,
}
"""Migrations that hold a big table for as long as its rows last, each with the reason why that
may be. Later ones go by steps: docs/scale.md, "Migrations while others serve"."""


@pytest.fixture
def bare(postgres_stores: PostgresStores) -> Iterator[Engines]:
    """An empty PostgreSQL database without a schema."""
    with postgres_stores.database(migrated=False) as store, engines_of(*store) as engines:
        yield engines


def test_no_migration_holds_a_big_table_for_as_long_as_its_rows_last(bare: Engines) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for schema in TABLES:
        engine = engine_of(bare, schema)
        for revision in revisions(schema):
            there = set(inspect(engine).get_table_names())
            with said(engine) as statements:
                upgraded(engine, schema, revision)
            if held := [each for each in statements if long_locked(each, there)]:
                found[schema, revision] = held
    assert found.keys() == LONG_LOCKING.keys(), found


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX ix ON usage_answers (fee)",
        "CREATE UNIQUE INDEX ix ON usage_answers (fee)",
        "ALTER TABLE usage_answers ALTER COLUMN fee TYPE NUMERIC",
        "ALTER TABLE usage_answers ALTER COLUMN fee SET NOT NULL",
        "ALTER TABLE usage_answers ADD CONSTRAINT c CHECK (fee > 0)",
        "ALTER TABLE usage_answers ADD COLUMN id UUID DEFAULT gen_random_uuid()",
        "UPDATE usage_answers\n   SET fee = 0",
        "DELETE FROM usage_answers WHERE kind = 2",
        "INSERT INTO heads SELECT operator_id FROM usage_answers",
        "INSERT INTO heads SELECT operator_id FROM usage_answers ORDER BY sequence LIMIT 100",
        "DROP TABLE usage_answers",
    ],
)
def test_a_statement_that_takes_every_row_is_told(statement: str) -> None:
    assert long_locked(statement, {"usage_answers"}) == {"usage_answers"}
    assert not long_locked(statement, set())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY ix ON usage_answers (fee)",
        "ALTER TABLE usage_answers ADD COLUMN asked INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE usage_answers ADD CONSTRAINT c CHECK (fee > 0) NOT VALID",
        "ALTER TABLE usage_answers VALIDATE CONSTRAINT c",
        "ALTER TABLE usage_answers DROP COLUMN fee",
        "SELECT sequence FROM usage_answers ORDER BY sequence LIMIT 100",
        "UPDATE logs SET size = 1",
    ],
)
def test_a_statement_that_does_not_is_let_pass(statement: str) -> None:
    assert not long_locked(statement, {"usage_answers", "logs"})


def test_a_migration_gives_up_a_lock_and_a_statement_in_time(bare: Engines) -> None:
    with said(bare.records) as statements:
        upgrade(bare.records, "records")
    first = next(number for number, each in enumerate(statements) if "CREATE TABLE" in each)
    assert f"SET SESSION lock_timeout = '{LOCK_SECONDS}s'" in statements[:first]
    assert f"SET SESSION statement_timeout = '{STATEMENT_SECONDS}s'" in statements[:first]
    with bare.records.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"
        assert connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one() == 0  # fmt: skip


class _Writers:
    """Threads that write an operator's quota and look at answers, each all the time."""

    def __init__(self, engine: Engine, count: int) -> None:
        self._engine = engine
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(count)
        self._done = [self._threads.submit(self._write, number) for number in range(count)]

    def _write(self, number: int) -> tuple[int, float]:
        """Return how many commits there were, and the longest pause between two."""
        rows, longest, last = 0, 0.0, time.monotonic()
        while not self._over.is_set():
            with self._engine.begin() as connection:
                connection.execute(
                    text(
                        "INSERT INTO quota_use VALUES (:operator, 1, 1) ON CONFLICT"
                        " (operator_id, day) DO UPDATE SET used = quota_use.used + 1"
                    ),
                    {"operator": f"operator-{number}"},
                )
                connection.execute(
                    text("DELETE FROM usage_answers WHERE operator_id = :operator"),
                    {"operator": f"operator-{number}"},
                )
            rows += 1
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            time.sleep(0.005)
        return rows, longest

    def ended(self) -> list[tuple[int, float]]:
        self._over.set()
        ended = [each.result() for each in self._done]
        self._threads.shutdown()
        return ended


def _held(engine: Engine, table: str, seconds: float) -> threading.Thread:
    """Read a table in a transaction that stays open for some seconds, in a thread."""
    opened = threading.Event()

    def hold() -> None:
        with engine.begin() as connection:
            connection.execute(text(f"SELECT count(*) FROM {table}"))
            opened.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    opened.wait(10)
    return thread


def test_writers_wait_no_longer_than_a_lock_is_waited_for_while_a_store_is_migrated(
    bare: Engines,
) -> None:
    upgrade(bare.authority, "authority")
    # The column that comes next needs a lock on the ledger, which a long report keeps it from.
    upgraded(bare.records, "records", "0015")
    report = _held(bare.records, "usage_answers", LOCK_SECONDS + 2)
    writers = _Writers(bare.records, 4)
    upgrade_all(bare)
    report.join()
    for rows, longest in writers.ended():
        assert rows > 20
        assert longest < LOCK_SECONDS + 1
    columns = {column["name"] for column in inspect(bare.records).get_columns("usage_answers")}
    assert "asked_subjects" in columns


def test_a_migration_that_never_gets_its_lock_says_what_to_do(
    bare: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded(bare.records, "records", "0015")
    monkeypatch.setattr("gateway.storage.migrate.LOCK_SECONDS", "0.1")
    with bare.records.begin() as connection:
        connection.execute(text("SELECT count(*) FROM usage_answers"))
        pauses: list[float] = []
        with pytest.raises(MigrationBlocked, match="pg_stat_activity"):
            run(bare.records, alembic_config("records"), pause=pauses.append)
        assert len(pauses) > 10
    upgrade(bare.records, "records")


_CONCURRENTLY = """
from alembic import op
revision = "0001"
down_revision = None

def upgrade():
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_fee")
        op.create_index("ix_fee", "usage_answers", ["fee"], postgresql_concurrently=True)
"""


def test_an_index_is_made_while_others_write(bare: Engines, tmp_path: Path) -> None:
    upgrade(bare.records, "records")
    config = alembic_config("records")
    scripts = tmp_path / "scripts"
    (scripts / "versions").mkdir(parents=True)
    shutil.copy(Path(config.get_main_option("script_location") or "") / "env.py", scripts)
    (scripts / "versions" / "0001_index.py").write_text(_CONCURRENTLY, encoding="utf-8")
    config.set_main_option("script_location", str(scripts))
    config.attributes["version_table"] = "alembic_version_test"
    writers = _Writers(bare.records, 2)
    # Another process that comes to migrate meanwhile keeps nobody from it.
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(run, bare.records, config)
        run(bare.records, config)
        other.result()
    assert all(longest < LOCK_SECONDS for _, longest in writers.ended())
    indexes = {index["name"] for index in inspect(bare.records).get_indexes("usage_answers")}
    assert "ix_fee" in indexes
