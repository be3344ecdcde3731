"""PostgreSQL's sign: another one as soon as there is something new to be seen, and no sooner."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from gateway.storage import snapshots
from gateway.storage.engines import postgresql_engine
from gateway.storage.signs import Sign
from gateway.storage.snapshots import open_snapshot_sign
from tests.stores import PostgresStores


@pytest.fixture
def engine(postgres_stores: PostgresStores) -> Iterator[Engine]:
    """A database of PostgreSQL with a table to write to."""
    with postgres_stores.database(migrated=False) as (database, _):
        engine = postgresql_engine(database, 2)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE news (number INTEGER)"))
        yield engine
        engine.dispose()


@pytest.fixture
def sign(engine: Engine) -> Iterator[Sign]:
    """Its sign, known."""
    with ExitStack() as stack:
        opened = open_snapshot_sign(engine, stack)
        assert opened is not None
        in_time(lambda: isinstance(opened(), str))
        yield opened


def in_time(so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 20
    while not so():
        assert time.monotonic() < until
        time.sleep(0.01)


def write(connection: Connection) -> None:
    connection.execute(text("INSERT INTO news VALUES (1)"))


def settled(sign: Sign) -> object:
    """Return the sign when it has been the same for as long as it takes to be asked anew."""
    seen, since = sign(), time.monotonic()
    while time.monotonic() < since + 5 * snapshots._TICK_SECONDS:  # pyright: ignore[reportPrivateUsage]
        time.sleep(0.01)
        if (now := sign()) != seen:
            seen, since = now, time.monotonic()
    return seen


def test_what_is_committed_shows_and_reading_shows_nothing(engine: Engine, sign: Sign) -> None:
    before = settled(sign)
    with engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM news"))
    assert settled(sign) == before
    with engine.begin() as connection:
        write(connection)
    in_time(lambda: sign() != before)


def test_what_was_begun_before_and_is_committed_after_another_shows(
    engine: Engine, sign: Sign
) -> None:
    with engine.connect() as first, engine.connect() as second:
        write(first)
        write(second)
        second.commit()
        before = settled(sign)
        first.commit()
        in_time(lambda: sign() != before)
        # As it is then, it stays.
        assert settled(sign) == settled(sign)


def test_while_the_server_is_not_heard_everything_is_news(engine: Engine, sign: Sign) -> None:
    ended = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    nobody = text(f"ALTER DATABASE {engine.url.database} ALLOW_CONNECTIONS false")
    everybody = text(f"ALTER DATABASE {engine.url.database} ALLOW_CONNECTIONS true")
    elsewhere = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with elsewhere.connect() as other, engine.connect() as killer:
        other.execute(nobody)
        killer.execute(ended)
        in_time(lambda: sign() != sign())
        other.execute(everybody)
        in_time(lambda: sign() == sign())
    elsewhere.dispose()


def test_where_others_hold_the_rows_there_is_no_sign(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable,"
                " extversion) SELECT 99999, 'citus', extowner, extnamespace, extrelocatable,"
                " extversion FROM pg_extension LIMIT 1"
            )
        )
    with ExitStack() as stack:
        assert open_snapshot_sign(engine, stack) is None
