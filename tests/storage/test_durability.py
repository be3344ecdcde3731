"""What was committed is on the disk: every pooled connection is set so (G12)."""

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine, text

from gateway.storage.engines import Engines, open_engines, reading
from gateway.storage.migrate import upgrade_all
from tests.stores import PostgresStores, SqliteStores, engines_of

FULL = 2
AT_ONCE = 3


def _settings(engine: Engine, queries: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Return what the queries answer on several connections open at once."""
    with ExitStack() as stack:
        connections = [stack.enter_context(engine.connect()) for _ in range(AT_ONCE)]
        assert len({id(connection.connection.dbapi_connection) for connection in connections}) > 1
        return [
            tuple(connection.execute(text(query)).scalar() for query in queries)
            for connection in connections
        ]


def test_sqlite_flushes_every_commit(sqlite_stores: SqliteStores) -> None:
    queries = ("PRAGMA journal_mode", "PRAGMA synchronous")
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        for engine in (engines.authority, engines.records):
            # Readers only: writers would wait for each other.
            read = engine.execution_options(creditgate_reads=True)
            assert _settings(read, queries) == [("wal", FULL)] * AT_ONCE


def test_postgresql_flushes_every_commit(postgres_stores: PostgresStores) -> None:
    with postgres_stores.database() as store, engines_of(*store) as engines:
        for engine in (engines.authority, engines.records):
            assert _settings(engine, ("SHOW synchronous_commit",)) == [("on",)] * AT_ONCE


def test_postgresql_flushes_every_commit_though_the_database_is_set_otherwise(
    postgres_stores: PostgresStores,
) -> None:
    with postgres_stores.database() as store:
        for told, kept in (("off", "on"), ("remote_apply", "remote_apply")):
            with engines_of(*store) as engines, engines.records.begin() as connection:
                name = connection.execute(text("SELECT current_database()")).scalar()
                connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = {told}"))
            with engines_of(*store) as engines:
                assert (
                    _settings(engines.records, ("SHOW synchronous_commit",)) == [(kept,)] * AT_ONCE
                )


def test_a_reader_does_not_wait_for_a_writer(engines: Engines) -> None:
    for name, engine in (("first", engines.authority), ("second", engines.records)):
        with engine.begin() as writer:
            writer.execute(text(f"CREATE TABLE {name} (x INTEGER)"))
            with reading(engine) as reader:
                assert reader.execute(text("SELECT 1")).scalar() == 1


def test_a_reader_sees_each_commit_at_once(engines: Engines) -> None:
    engine = engines.records
    count = text("SELECT count(*) FROM quota_use")
    with reading(engine) as reader:
        assert reader.execute(count).scalar() == 0
        with engine.begin() as writer:
            writer.execute(text("INSERT INTO quota_use VALUES ('alpha', 1, 1)"))
        assert reader.execute(count).scalar() == 1


def test_sqlite_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    engines = open_engines("sqlite", tmp_path / "home")
    upgrade_all(engines)
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "home").iterdir()}
    engines.dispose()
    assert {"authority.db", "records.db"} <= modes.keys()
    assert not any(modes.values())
    assert not (tmp_path / "home").stat().st_mode & 0o077
