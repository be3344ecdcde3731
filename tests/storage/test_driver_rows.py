"""Rows as the driver has them are those that Core reads, in blocks, and nobody holds the rest."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Select, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from consent.tables import SUBJECT_USE
from gateway.storage.driver_rows import column_blocks
from gateway.storage.engines import Engines, snapshot
from gateway.storage.statements import add_rows
from tests.people import COMPANY

ROWS = 1_203
USE = SUBJECT_USE.c


def read(engines: Engines, query: Select[*tuple[Any, ...]], at_once: int) -> list[Any]:
    """Return a query's blocks."""
    with snapshot(engines.records) as connection:
        return list(column_blocks(connection, query, at_once))


def filled(engines: Engines) -> Sequence[int]:
    """Add rows, and return their numbers, in order."""
    numbers = range(1, ROWS + 1)
    with engines.records.begin() as connection:
        add_rows(connection, SUBJECT_USE, [(COMPANY, number) for number in numbers])
    return numbers


@pytest.mark.parametrize("at_once", [1, 500, 601, ROWS, ROWS + 1])
def test_blocks_have_every_row_once_in_order(engines: Engines, at_once: int) -> None:
    numbers = filled(engines)
    query = (
        select(USE.usage_sequence, USE.subject)
        .where(USE.subject == COMPANY, USE.usage_sequence > 2, literal_column("'%'") == "%")
        .order_by(USE.usage_sequence)
    )
    blocks = read(engines, query, at_once)
    assert [len(subjects) for _, subjects in blocks] == [
        min(at_once, ROWS - 2 - read) for read in range(0, ROWS - 2, at_once)
    ]
    assert [number for found, _ in blocks for number in found] == [*numbers[2:]]
    assert {subject for _, subjects in blocks for subject in subjects} == {COMPANY}
    assert read(engines, query.where(USE.usage_sequence > ROWS), at_once) == []


def test_what_is_left_unread_keeps_nobody_from_reading_again(engines: Engines) -> None:
    filled(engines)
    query = select(USE.usage_sequence).order_by(USE.usage_sequence)
    with snapshot(engines.records) as connection:
        for first in range(2):
            blocks = column_blocks(connection, query.where(USE.usage_sequence > first), 1)
            assert next(blocks) == [[first + 1]]
            blocks.close()
        # Core reads beside it.
        blocks = column_blocks(connection, query, 1)
        assert next(blocks) == [[1]]
        if connection.dialect.name == "postgresql":
            # The server has the rest of the rows, not the driver.
            assert connection.execute(text("SELECT count(*) FROM pg_cursors")).scalar_one() == 1
        asked = select(func.count()).select_from(SUBJECT_USE)
        assert connection.execute(asked).scalar_one() == ROWS
        assert next(blocks) == [[2]]
        blocks.close()


def test_a_failure_of_the_store_is_told_as_core_tells_it(engines: Engines) -> None:
    with pytest.raises(DBAPIError, match="no_such"):
        read(engines, select(literal_column("no_such")).select_from(SUBJECT_USE), 1)
