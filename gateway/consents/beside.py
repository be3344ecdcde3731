"""What the ledger keeps beside answers, by the keys of these."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, tuple_

LedgerRow = Row[*tuple[Any, ...]]
"""A row of `gateway.meter.tables.USAGE`."""
_ANSWERS_A_QUERY: Final = 100


def key_of(row: LedgerRow) -> tuple[str, str, int]:
    """Return the key of an answer, or of the one that a row is beside."""
    return row.operator_id, row.request_id, row.chunk


def rows_beside(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    table: Table,
    answers: Iterable[LedgerRow],
) -> Iterator[LedgerRow]:
    """Yield the rows of a query of ``table`` that are beside some answers which hold records, so many
    answers at a time."""
    key = tuple_(table.c.operator_id, table.c.request_id, table.c.chunk)
    keys = sorted({key_of(answer) for answer in answers if answer.entry_count})
    for start in range(0, len(keys), _ANSWERS_A_QUERY):
        yield from connection.execute(query.where(key.in_(keys[start : start + _ANSWERS_A_QUERY])))
