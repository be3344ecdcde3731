"""Stores written to behind the gateway's back, one value or row at a time."""

import random
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Engine, Table, and_, delete, insert, select, update

Find = Callable[[], Sequence[object]]
"""Returns what a check finds wrong."""


def own(table: Table, row: Any) -> Any:
    """Return the condition that finds a row again."""
    return and_(*(column == row[column.name] for column in table.primary_key))


def rows_of(engine: Engine, table: Table) -> Sequence[Any]:
    """Return all rows of a table."""
    with engine.connect() as connection:
        return connection.execute(select(table)).mappings().all()


def changed(chance: random.Random, value: Any) -> Any:
    """Return another value for a column: one bit, or one character."""
    if isinstance(value, bytes):
        data = bytearray(value or b"\0")
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(5)
    assert isinstance(value, str)
    # Never longer than it was: a column may hold no more.
    place = chance.randrange(max(1, len(value)))
    return value[:place] + ("x" if value[place : place + 1] != "x" else "y") + value[place + 1 :]


@contextmanager
def tampered(
    engine: Engine, table: Table, row: Any, column: Column[Any], value: Any
) -> Generator[None]:
    """Change one value of one row behind the gateway's back, and put it back."""
    former = row[column.name]
    with engine.begin() as connection:
        connection.execute(update(table).where(own(table, row)).values({column.name: value}))
    yield
    keys = dict(row) | {column.name: value}
    again = and_(*(each == keys[each.name] for each in table.primary_key))
    with engine.begin() as connection:
        connection.execute(update(table).where(again).values({column.name: former}))


@contextmanager
def removed(engine: Engine, table: Table, row: Any) -> Generator[None]:
    """Take one row away, and put it back."""
    with engine.begin() as connection:
        connection.execute(delete(table).where(own(table, row)))
    yield
    with engine.begin() as connection:
        connection.execute(insert(table).values(dict(row)))


def mutate(
    tables: Mapping[Table, Engine],
    meaningless: Collection[Column[Any]],
    find: Find,
    chance: random.Random,
    rows_each: int,
) -> int:
    """Change every column of some rows of every table; return how many changes were found.

    ``meaningless`` are columns of which nothing can be told.
    """
    found = 0
    for table, engine in tables.items():
        rows = rows_of(engine, table)
        assert rows, table.name
        for row in chance.sample(rows, min(rows_each, len(rows))):
            for column in table.columns:
                former = row[column.name]
                if column in meaningless or former is None:
                    continue
                value = changed(chance, bytes(former) if isinstance(former, memoryview) else former)
                keys = {each[column.name] for each in rows}
                if column.primary_key and value in keys:
                    continue
                with tampered(engine, table, row, column, value):
                    assert find(), (table.name, column.name, former, value)
                found += 1
    assert not find()
    return found
