"""Statements as a driver takes them: Core's text, with places for parameters in order.

Rows by the thousand are given to the driver as tuples: handing Core a mapping for each costs
more than everything else a row needs.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, cast

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.sql.expression import Executable

_ROWS_A_STATEMENT: Final = 100


def driver_text(statement: Executable, dialect: Dialect) -> str:
    """Return the text of ``statement`` for `Connection.exec_driver_sql` with tuples."""
    return str(_compiled(statement, dialect))


def driver_statement(statement: Executable, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
    """Return the text of ``statement`` and the values it was written with, in the text's order,
    for a cursor of the driver."""
    compiled = _compiled(statement, dialect)
    values = compiled.params
    return str(compiled), tuple([values[name] for name in compiled.positiontup])


def _compiled(statement: Executable, dialect: Dialect) -> Any:
    style = "qmark" if dialect.name == "sqlite" else "format"
    positional = cast(Any, type(dialect))(paramstyle=style)
    return cast(Any, statement).compile(dialect=positional)


def add_rows(connection: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows, their values in the order of the table's columns, in a transaction that is
    rolled back where one cannot be.

    Many go with each statement: the drivers let go of the interpreter with every one, and
    have to get it back from whoever has it then.
    """
    write_rows(connection, adding, table, rows)


def put_rows(connection: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows as `add_rows` does, each instead of the one there is of its key; ``rows`` are of
    one key once."""
    write_rows(connection, _putting, table, rows)


def write_rows(
    connection: Connection,
    writing: Callable[[Table, int, bool], str],
    table: Table,
    rows: Sequence[Sequence[object]],
) -> None:
    """Write rows as `add_rows` does, by the statement that ``writing`` gives for a table, a number of
    rows, and whether it is for SQLite: `adding`, and what becomes of a row that is there."""
    sqlite = connection.dialect.name == "sqlite"
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[start : start + _ROWS_A_STATEMENT]
        values = tuple(chain.from_iterable(some))
        connection.exec_driver_sql(writing(table, len(some), sqlite), values)


@cache
def adding(table: Table, rows: int, sqlite: bool) -> str:
    """Return the statement that inserts so many rows."""
    columns = ",".join(column.name for column in table.c)
    row = f"({','.join(['?' if sqlite else '%s'] * len(table.c))})"
    # SQLite keeps a journal for each statement that may fail half-way, which costs as much as
    # the rows, unless it need not undo it.
    insert = "INSERT OR FAIL" if sqlite else "INSERT"
    return f"{insert} INTO {table.name} ({columns}) VALUES {','.join([row] * rows)}"


@cache
def _putting(table: Table, rows: int, sqlite: bool) -> str:
    key = ",".join(column.name for column in table.primary_key)
    others = [column.name for column in table.c if not column.primary_key]
    instead = ",".join(f"{name}=excluded.{name}" for name in others)
    return f"{adding(table, rows, sqlite)} ON CONFLICT ({key}) DO UPDATE SET {instead}"
