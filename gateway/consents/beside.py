"""What the ledger keeps beside answers, by the keys of these."""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, tuple_

LedgerRow = Row[*tuple[Any, ...]]
"""A row of `gateway.meter.tables.USAGE`."""
_KEYS_A_QUERY: Final = 100


def key_of(row: LedgerRow) -> tuple[str, str, int]:
    """Return the key of an answer, or of the one that a row is beside."""
    return row.operator_id, row.request_id, row.chunk


def rows_beside(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    table: Table,
    answers: Iterable[LedgerRow],
) -> Iterator[LedgerRow]:
    """Yield the rows of a query of ``table`` that are beside some answers which hold records."""
    columns = (table.c.operator_id, table.c.request_id, table.c.chunk)
    keys = {key_of(answer) for answer in answers if answer.entry_count}
    yield from rows_by(connection, query, columns, keys)


def rows_by(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    columns: Sequence[ColumnElement[Any]],
    keys: Set[tuple[Any, ...]],
) -> Iterator[LedgerRow]:
    """Yield the rows of a query whose ``columns`` are any of ``keys``, so many keys at a time."""
    key, ordered = tuple_(*columns), sorted(keys)
    for start in range(0, len(ordered), _KEYS_A_QUERY):
        yield from connection.execute(query.where(key.in_(ordered[start : start + _KEYS_A_QUERY])))
