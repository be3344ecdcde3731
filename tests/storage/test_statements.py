"""Rows by the thousand are all added, or none."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from consent.tables import SUBJECT_USE
from gateway.audit.fact_tables import FACTS
from gateway.storage.engines import Engines, reading
from gateway.storage.statements import add_rows, put_rows
from tests.people import COMPANY


def added(engines: Engines) -> int:
    """Return how many rows there are."""
    with reading(engines.records) as connection:
        return connection.execute(select(func.count()).select_from(SUBJECT_USE)).scalar_one()


def test_rows_are_added_whatever_their_number(engines: Engines) -> None:
    with engines.records.begin() as connection:
        add_rows(connection, SUBJECT_USE, [(COMPANY, number) for number in range(1, 251)])
        add_rows(connection, SUBJECT_USE, [])
    assert added(engines) == 250


def test_where_one_row_cannot_be_added_none_is(engines: Engines) -> None:
    rows = [(COMPANY, number) for number in range(1, 251)]
    with pytest.raises(IntegrityError), engines.records.begin() as connection:
        add_rows(connection, SUBJECT_USE, [*rows, rows[120]])
    assert added(engines) == 0


def test_a_row_is_put_instead_of_the_one_of_its_key(engines: Engines) -> None:
    with engines.evidence.begin() as connection:
        put_rows(connection, FACTS, [("kind", str(row), row, b"then") for row in range(150)])
        put_rows(connection, FACTS, [("kind", "7", 150, b"now"), ("other", "7", 151, b"new")])
    with reading(engines.evidence) as connection:
        ordered = select(FACTS).order_by(FACTS.c.log_index.desc()).limit(3)
        newest = [tuple(row) for row in connection.execute(ordered)]
        kept = connection.execute(select(func.count()).select_from(FACTS)).scalar_one()
    assert newest == [
        ("other", "7", 151, b"new"),
        ("kind", "7", 150, b"now"),
        ("kind", "149", 149, b"then"),
    ]
    assert kept == 151
