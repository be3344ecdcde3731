"""Which versions may serve on a store is written into it with each migration."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from gateway.storage.engines import Engines, open_engines
from gateway.storage.migrate import TURN, Schema, alembic_config, run, upgrade
from gateway.storage.versions import StoreOfNewerVersion, oldest_serving, stands
from tests.storage.migrating import revisions
from tests.storage.newer import NEWER, migrate_to_newer, newer_config
from tests.storage.schemas import TABLES, engine_of
from tests.stores import PostgresStores, engines_of


def _noted(engines: Engines, schema: Schema) -> list[tuple[str, str]]:
    with engine_of(engines, schema).connect() as connection:
        found = connection.execute(
            text(f"SELECT version_num, serves_from FROM alembic_version_{schema}")
        )
        return [(row[0], row[1]) for row in found]


@pytest.mark.parametrize("schema", list(TABLES))
def test_what_a_migration_names_is_kept_with_its_revision(
    engines: Engines, tmp_path: Path, schema: Schema
) -> None:
    run(engine_of(engines, schema), newer_config(schema, tmp_path, beside=True))
    assert _noted(engines, schema) == [(NEWER, revisions(schema)[-1])]


def test_a_migration_that_names_none_is_for_its_own_code(engines: Engines, tmp_path: Path) -> None:
    run(engines.records, newer_config("records", tmp_path, beside=False))
    assert _noted(engines, "records") == [(NEWER, NEWER)]


def test_taken_back_a_store_is_for_whom_it_was_before(engines: Engines, tmp_path: Path) -> None:
    before = _noted(engines, "records")
    config = newer_config("records", tmp_path, beside=False)
    run(engines.records, config)
    with engines.records.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revisions("records")[-1])
    assert _noted(engines, "records") == before


def test_a_store_that_was_migrated_before_versions_were_told_tells_them_from_the_next_on(
    engines: Engines, tmp_path: Path
) -> None:
    for schema in TABLES:
        with engine_of(engines, schema).begin() as connection:
            connection.execute(
                text(f"ALTER TABLE alembic_version_{schema} DROP COLUMN serves_from")
            )
    migrate_to_newer(engines, tmp_path, beside=True)
    for schema in TABLES:
        assert _noted(engines, schema) == [(NEWER, revisions(schema)[-1])]


def test_a_newer_store_that_tells_no_version_is_not_served(
    engines: Engines, tmp_path: Path
) -> None:
    run(engines.records, newer_config("records", tmp_path, beside=True))
    with engines.records.begin() as connection:
        connection.execute(text("ALTER TABLE alembic_version_records DROP COLUMN serves_from"))
    with pytest.raises(StoreOfNewerVersion, match=f"records {NEWER}"):
        upgrade(engines.records, "records")


def test_statements_with_notes_that_put_others_right_are_for_no_version_from_before(
    engines: Engines,
) -> None:
    """It does not read them: a field that is not known is an error, for what is signed again."""
    line = revisions("evidence")
    before = tuple(line[: line.index("0036")])
    with engines.evidence.connect() as connection, pytest.raises(StoreOfNewerVersion):
        stands(connection, "alembic_version_evidence", before)


@pytest.fixture
def later(tmp_path: Path) -> Config:
    """Migrations of which the last takes something away, and one that follows and only adds."""
    config = newer_config("records", tmp_path, beside=False)
    versions = Path(config.get_main_option("script_location") or "") / "versions"
    (versions / "9999a_later.py").write_text(
        f'revision = "9999a"\ndown_revision = "{NEWER}"\nserves_from = "0001"\n', encoding="utf-8"
    )
    return config


def test_what_was_taken_away_is_not_given_back_by_a_later_migration(later: Config) -> None:
    assert oldest_serving(ScriptDirectory.from_config(later), "9999a") == NEWER


def test_a_migration_that_names_a_revision_there_is_not_fails(later: Config) -> None:
    versions = Path(later.get_main_option("script_location") or "") / "versions"
    (versions / "9999b_wrong.py").write_text(
        'revision = "9999b"\ndown_revision = "9999a"\nserves_from = "998"\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match="998"):
        oldest_serving(ScriptDirectory.from_config(later), "9999b")


@pytest.fixture
def behind(postgres_stores: PostgresStores) -> Iterator[tuple[str, Path]]:
    """A PostgreSQL store without the last migration of records."""
    with postgres_stores.database() as store:
        with engines_of(*store) as engines, engines.records.connect() as connection:
            config = alembic_config("records")
            config.attributes["connection"] = connection
            command.downgrade(config, "-1")
        yield store


def test_who_waited_while_a_newer_version_migrated_finds_it_done(
    behind: tuple[str, Path], tmp_path: Path
) -> None:
    waits, own, other = Event(), open_engines(*behind), open_engines(*behind)
    event.listen(
        own.records,
        "before_cursor_execute",
        lambda *said: waits.set() if "pg_try_advisory_lock" in said[2] else None,
    )
    config = newer_config("records", tmp_path, beside=True)
    with ThreadPoolExecutor(1) as threads, other.records.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({TURN})"))
        connection.commit()
        waiting = threads.submit(upgrade, own.records, "records")
        assert waits.wait(30)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(text(f"SELECT pg_advisory_unlock({TURN})"))
        connection.commit()
        waiting.result()
    assert _noted(own, "records") == [(NEWER, revisions("records")[-1])]
    own.dispose()
    other.dispose()
