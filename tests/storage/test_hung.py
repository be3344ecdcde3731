"""On PostgreSQL a transaction whose process does nothing more about it keeps its locks from nobody for
long, and who waits for one that lasts gives up in the end."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import monotonic
from typing import Any, Final, LiteralString, cast

import pytest
from psycopg import Cursor
from psycopg import Error as PsycopgError
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from consent import connections
from consent.connections import limits, take_turn, writing
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.disclose.store import DisclosureStore
from gateway.meter.postgresql import lock_operator
from gateway.oauth.revocation_log import append_revocations
from gateway.storage import hung
from gateway.storage.bounded import bounded
from gateway.storage.engines import Engines, reading
from operators import sql
from operators.log import Draft
from operators.sql import SqlAuthorityLog
from tests.stores import PostgresStores, engines_of

_LOCK: Final = 77
_OPERATOR: Final = "alpha"
_SOON_SECONDS: Final = 2.5
_MOST_SECONDS: Final = 6.0
_COPY: Final = "COPY usage_answers (operator_id) FROM STDIN"


@pytest.fixture
def engines(postgres_stores: PostgresStores) -> Iterator[Engines]:
    """The engines of an empty store."""
    with postgres_stores.database() as store, engines_of(*store) as opened:
        yield opened


@contextmanager
def _a_consent(engine: Engine) -> Generator[Connection]:
    with writing(engine) as connection:
        take_turn(connection, _LOCK)
        yield connection


@contextmanager
def _an_operator(engine: Engine) -> Generator[Connection]:
    with bounded(engine) as connection:
        lock_operator(connection, _OPERATOR)
        yield connection


@contextmanager
def _revocations(engine: Engine) -> Generator[Connection]:
    with bounded(engine) as connection:
        append_revocations(connection, (), 0)
        yield connection


@pytest.mark.parametrize("beginning", [_a_consent, _an_operator, _revocations])
def test_a_transaction_left_alone_is_ended_and_another_gets_its_lock(
    engines: Engines, beginning: Callable[[Engine], AbstractContextManager[Connection]]
) -> None:
    engine = engines.authority if beginning is _revocations else engines.records
    with pytest.raises(DBAPIError), beginning(engine) as left_alone:
        began = monotonic()
        with beginning(engine):
            assert 0.5 < monotonic() - began < _SOON_SECONDS
        left_alone.execute(text("SELECT 1"))
    with beginning(engine) as connection:
        connection.execute(text("SELECT 1"))


def test_a_publisher_that_hangs_keeps_others_waiting_for_no_longer_than_a_batch_may_pause(
    engines: Engines,
) -> None:
    store = DisclosureStore(engines.records)

    def hang() -> None:
        began = monotonic()
        store.number_lines(())
        assert 2 < monotonic() - began < _MOST_SECONDS + 1

    withdrawn = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
    with pytest.raises(DBAPIError):
        store.end("record-1", 1, withdrawn, "", "publisher", 0, permit=hang)


def test_an_administrator_whose_process_hangs_keeps_no_other_from_changing_authority(
    engines: Engines,
) -> None:
    log = SqlAuthorityLog(engines.authority)
    append = partial(log.append, changed_by="administrator", changed_at=1, reason="test")

    class Hanging(tuple[Draft, ...]):
        def __iter__(self) -> Iterator[Draft]:
            began = monotonic()
            append((Draft("item", "one", 0, {}),))
            assert 1 < monotonic() - began < _MOST_SECONDS
            return super().__iter__()

    with pytest.raises(DBAPIError):
        append(Hanging((Draft("item", "two", 0, {}),)))
    assert [change.id for change in log.since(0)] == ["one"]


def test_who_waits_for_one_that_goes_on_gives_up(engines: Engines) -> None:
    def go_on(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(5)"))

    with ThreadPoolExecutor(1) as threads, _a_consent(engines.records) as busy:
        going_on = threads.submit(go_on, busy)
        began = monotonic()
        with pytest.raises(OperationalError) as given_up, _a_consent(engines.records):
            pass
        assert isinstance(given_up.value.orig, LockNotAvailable)
        assert monotonic() - began < _MOST_SECONDS
        going_on.result()


@contextmanager
def _copying(cursor: Cursor[Any]) -> Generator[None]:
    with cursor.copy(_COPY):
        yield


@contextmanager
def _sending_together(cursor: Cursor[Any]) -> Generator[None]:
    connection = cursor.connection
    with connection.pipeline():
        cursor.execute("SELECT 1")
        connection.pgconn.send_flush_request()
        connection.pgconn.flush()
        yield


@contextmanager
def _after_a_pipeline(cursor: Cursor[Any]) -> Generator[None]:
    # What the driver sends at its end where the answer is not there at once.
    with cursor.connection.pipeline():
        cursor.execute("SELECT 1")
    cursor.connection.pgconn.send_flush_request()
    cursor.connection.pgconn.flush()
    yield
    cursor.execute("SELECT 1")


@pytest.mark.parametrize("midst", [_copying, _sending_together, _after_a_pipeline])
@pytest.mark.parametrize("insists", [True, False])
def test_one_that_hangs_where_the_server_does_not_look_is_ended_by_whoever_waited_in_vain(
    engines: Engines,
    midst: Callable[[Cursor[Any]], AbstractContextManager[None]],
    insists: bool,
) -> None:
    left = engines.records.raw_connection()
    cursor = cast(Cursor[Any], left.cursor())
    cursor.execute(cast(LiteralString, f"SELECT {limits()}"))
    cursor.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (_LOCK,))
    with pytest.raises(PsycopgError), midst(cursor):
        began = monotonic()
        if insists:
            with _a_consent(engines.records):
                pass
        else:
            with pytest.raises(OperationalError), writing(engines.records) as connection:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        assert monotonic() - began < _SOON_SECONDS
        began = monotonic()
        with _a_consent(engines.records):
            assert monotonic() - began < 1
    left.invalidate()


def test_all_who_bind_transactions_say_so_by_the_same_mark() -> None:
    assert connections.BOUND_MARK == sql.BOUND_MARK == hung.BOUND_MARK


def test_one_that_may_be_idle_for_longer_is_ended_by_nobody_before(engines: Engines) -> None:
    with engines.records.begin() as connection:
        connection.execute(text(f"SELECT {limits(idle_seconds=60)}"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        with pytest.raises(OperationalError), _a_consent(engines.records):
            pass
        connection.execute(text("SELECT 1"))


def test_what_bounds_a_transaction_bounds_no_other_of_its_session(engines: Engines) -> None:
    shown = text(
        "SELECT pg_backend_pid(), current_setting('lock_timeout'),"
        " current_setting('idle_in_transaction_session_timeout')"
    )
    with _a_consent(engines.records) as connection:
        session, *bounds = connection.execute(shown).one()
        assert bounds == ["2s", "1s"]
    with reading(engines.records) as connection:
        assert tuple(connection.execute(shown).one()) == (session, "0", "0")
