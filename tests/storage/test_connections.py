"""Connections to PostgreSQL: as many as are set, told when there are too few, and when all are busy."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.clock import SystemClock
from gateway.config import USUAL_CONNECTIONS, GatewayConfig
from gateway.installation.bootstrap import bootstrap
from gateway.storage import turn
from gateway.storage.connections import TURNS, allowed, most_opened, shortage
from gateway.storage.engines import Pools, open_engines
from gateway.storage.turn import Work
from tests.stores import PostgresStores, SqliteStores, engines_of


@given(workers=st.integers(1, 256), connections=st.integers(4, 1_000))
def test_a_host_opens_no_more_than_it_tells(workers: int, connections: int) -> None:
    pools = Pools.of(connections)
    assert pools.records == connections
    assert most_opened(workers, pools) > (workers + 1) * sum(pools)
    assert most_opened(workers + 1, pools) > most_opened(workers, pools)


def test_one_worker_by_default_is_within_what_postgresql_allows_by_default() -> None:
    assert most_opened(1, Pools.of(USUAL_CONNECTIONS)) <= 100 - 3


def test_each_work_in_the_background_has_a_session_counted_for_it() -> None:
    works = [each for each in vars(turn).values() if isinstance(each, Work)]
    assert len(works) <= TURNS


def test_postgresql_is_asked_for_the_least_of_its_limits(postgres_stores: PostgresStores) -> None:
    with postgres_stores.database() as store, engines_of(*store) as engines:
        with engines.records.begin() as connection:
            whole = allowed(connection)
            name = connection.execute(text("SELECT current_database()")).scalar_one()
            connection.execute(text(f"ALTER DATABASE {name} CONNECTION LIMIT 30"))
            assert allowed(connection) == 30 < whole
            told = shortage(connection, 1, 16)
            connection.execute(text(f"ALTER DATABASE {name} CONNECTION LIMIT -1"))
        assert "have 30 connections" in told
        assert "lower database_connections" in told


def test_a_start_with_too_few_connections_warns(
    postgres_stores: PostgresStores, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres_stores.database() as (database, home):
        for connections, warned in ((4, False), (1_000, True)):
            config = GatewayConfig(
                home=home,
                database=SecretStr(database),
                database_connections=connections,
            )
            caplog.clear()
            bootstrap(config, SystemClock())
            assert ("max_connections" in caplog.text) == warned


def test_sqlite_has_no_such_limit(sqlite_stores: SqliteStores) -> None:
    with (
        sqlite_stores.database() as store,
        engines_of(*store) as engines,
        engines.records.connect() as connection,
    ):
        assert shortage(connection, 256, 1_000) == ""


def test_who_gets_no_connection_in_time_is_told_so(
    postgres_stores: PostgresStores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gateway.storage.engines._WAIT_SECONDS", 0.2)
    with postgres_stores.database() as (database, _), ExitStack() as stack:
        engines = open_engines(database, tmp_path, 4)
        stack.callback(engines.dispose)
        most = Pools.of(4).records + 4
        for _ in range(most):
            stack.enter_context(engines.records.connect())
        began = time.monotonic()
        with pytest.raises(PoolTimeout):
            engines.records.connect()
        assert time.monotonic() - began < 2
