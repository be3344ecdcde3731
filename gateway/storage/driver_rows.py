"""Rows by the million, as the driver has them.

Core makes an object of each row, which costs as much as the store takes to find it.
"""

from collections.abc import Generator
from typing import Any, Final

from sqlalchemy import Connection, Select
from sqlalchemy.exc import DBAPIError

from gateway.storage.statements import driver_statement

_CURSOR: Final = "creditgate_rows"
# So few that they are gone before the cycle collector looks for them: else it takes as long as
# reading them.
_ROWS_AT_ONCE: Final = 500


def column_blocks(
    connection: Connection, query: Select[*tuple[Any, ...]], at_once: int
) -> Generator[list[list[Any]]]:
    """Yield a query's rows, so many at once: the values of each column, in order. No block is empty.

    The store keeps what is not asked for yet. ``connection`` is in a transaction, and reads nothing
    else in this way meanwhile. Raises what the store raises, as Core does.
    """
    dialect = connection.dialect
    text, values = driver_statement(query, dialect)
    # Only of a cursor that has a name does PostgreSQL keep the rows at its own side.
    name = () if dialect.name == "sqlite" else (_CURSOR,)
    driver: Any = dialect.loaded_dbapi
    try:
        cursor: Any = connection.connection.cursor(*name)
        try:
            cursor.execute(text, values)
            while any(block := _block(cursor, len(query.selected_columns), at_once)):
                yield block
        finally:
            cursor.close()
    except driver.Error as error:
        raise DBAPIError.instance(text, values, error, driver.Error, dialect=dialect) from error


def _block(cursor: Any, width: int, at_once: int) -> list[list[Any]]:
    columns: list[list[Any]] = [[] for _ in range(width)]
    while left := at_once - len(columns[0]):
        rows = cursor.fetchmany(min(left, _ROWS_AT_ONCE))
        if not rows:
            break
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    return columns
