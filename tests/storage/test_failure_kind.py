"""Failures of real stores, as a log tells them: the cause by its code, and nothing of any row."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from gateway.failure_kind import failure_kind
from gateway.server.errors import refusal_of_failure
from tests.meter.faults import disk_full
from tests.stores import engines_of

_ROW = "911101081000000003"


def failed(engine: Engine, *statements: str) -> DBAPIError:
    """Return what a store raises that can't do one of the statements."""
    with pytest.raises(DBAPIError) as raised, engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    return raised.value


def test_a_store_that_has_no_room_is_told_by_its_cause(
    sqlite_store: tuple[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with engines_of(*sqlite_store) as engines, disk_full(engines.records):
        full = failed(engines.records, f"CREATE TABLE t AS SELECT '{_ROW}' || hex(zeroblob(99999))")
    assert failure_kind(full) == "OperationalError (SQLITE_FULL)"
    assert refusal_of_failure(full) is not None
    assert caplog.messages == ["a store failed: OperationalError (SQLITE_FULL)"]


def test_what_a_row_is_refused_for_is_told_without_it(records_engine: Engine) -> None:
    twice = failed(
        records_engine,
        "CREATE TABLE t (a VARCHAR(18) PRIMARY KEY)",
        f"INSERT INTO t VALUES ('{_ROW}')",
        f"INSERT INTO t VALUES ('{_ROW}')",
    )
    assert _ROW in str(twice)
    is_sqlite = records_engine.dialect.name == "sqlite"
    code = "SQLITE_CONSTRAINT_PRIMARYKEY" if is_sqlite else "23505"
    assert failure_kind(twice) == f"IntegrityError ({code})"


def test_other_failures_are_told_by_type_and_where_the_system_has_one_its_name() -> None:
    with pytest.raises(OSError) as missing:
        Path("/nowhere/at/all").read_bytes()
    assert failure_kind(missing.value) == "FileNotFoundError (ENOENT)"
    assert failure_kind(OSError(_ROW)) == "OSError"
    assert failure_kind(ValueError(_ROW)) == "ValueError"
