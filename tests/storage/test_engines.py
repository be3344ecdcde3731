"""Connections to the stores: as many as ask at once, and none that is dead."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.exc import OperationalError

from gateway.storage import engines
from gateway.storage.engines import (
    open_engines,
    open_for_archive,
    postgresql_engine,
    reading,
)
from tests.stores import PostgresStores

_SESSION: Final = select(func.pg_backend_pid())


def test_on_sqlite_nobody_waits_for_a_connection(tmp_path: Path) -> None:
    stores = open_engines("sqlite", tmp_path)
    with ExitStack() as stack:
        for engine in (stores.authority, stores.records, stores.evidence):
            for _ in range(40):
                connection = stack.enter_context(reading(engine))
                assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    stores.dispose()


@pytest.mark.parametrize("name", ["C#", "100%25", "why?", "its=?mode=ro&uri=true"])
def test_files_of_sqlite_lie_in_the_home_however_that_is_called(tmp_path: Path, name: str) -> None:
    home = tmp_path / name / "var"
    stores = open_engines("sqlite", home)
    for engine in (stores.authority, stores.records, stores.evidence):
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE written (number INTEGER)")
    stores.dispose()
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert all(
        file.stat().st_size
        for file in (home / each for each in ("authority.db", "records.db", "evidence.db"))
    )


@pytest.fixture
def engine(postgres_stores: PostgresStores) -> Iterator[Engine]:
    """One that keeps two connections to PostgreSQL."""
    with postgres_stores.database() as (database, _):
        engine = postgresql_engine(database, 2)
        yield engine
        engine.dispose()


def cut_off(engine: Engine) -> None:
    """Have the server end two sessions of an engine, that lie unused."""
    with reading(engine) as one, reading(engine) as other:
        sessions = [each.scalar(_SESSION) for each in (one, other)]
    killer = create_engine(engine.url)
    with killer.begin() as connection:
        for session in sessions:
            assert connection.scalar(select(func.pg_terminate_backend(session, 5_000)))
    killer.dispose()


def test_who_comes_to_a_session_that_was_left_alone_does_not_find_it_ended(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(engine)
    monkeypatch.setattr(engines, "_TRUSTED_SECONDS", 0.0)
    with reading(engine) as connection:
        assert connection.scalar(_SESSION)


def test_of_sessions_that_ended_together_one_is_found_so_by_use(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_TRUSTED_SECONDS", 3_600.0)
    cut_off(engine)
    with pytest.raises(OperationalError), reading(engine) as connection:
        connection.scalar(_SESSION)
    with reading(engine) as one, reading(engine) as other:
        assert one.scalar(_SESSION) != other.scalar(_SESSION)


def test_nothing_is_served_from_a_server_that_can_only_be_read(
    postgres_stores: PostgresStores, tmp_path: Path
) -> None:
    with postgres_stores.database() as (database, _):
        writer = postgresql_engine(database, 1)
        with writer.begin() as connection:
            name = connection.scalar(select(func.current_database()))
            # As a server does that follows another: libpq tells the two by the same.
            connection.exec_driver_sql(
                f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
            )
        writer.dispose()
        stores = open_engines(database, tmp_path)
        for engine in (stores.authority, stores.records, stores.evidence):
            with pytest.raises(OperationalError, match="read-only"), reading(engine):
                pass
        stores.dispose()
        archive = open_for_archive(database, tmp_path)
        with reading(archive.records) as connection:
            assert connection.scalar(_SESSION)
        archive.dispose()
