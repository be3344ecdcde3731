"""Questions in SQL on an archive, answered by DuckDB: never by the live store.

A question is one SELECT. It reads the archive's files and nothing else of the machine, writes
nothing, loads no extension, and takes bounded memory.
Source: DuckDB documentation, Securing DuckDB.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from gateway.analytics.archive import SCHEMA, read_manifest

MOST_ROWS: Final = 10_000
"""Rows of an answer that are returned."""
_MEMORY: Final = "1GB"
_THREADS: Final = 2
_TYPES: Final = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER"}


class QuestionRefused(ValueError):
    """The question is not one SELECT, or DuckDB refuses it; the message says why."""


class Told(NamedTuple):
    """An answer: names of columns and rows; ``more`` tells that rows were left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool


def ask(folder: Path, sql: str, most: int = MOST_ROWS) -> Told:
    """Return what the archive in ``folder`` says; the table is called ``usage``.

    Raises ArchiveUnreadable and QuestionRefused.
    """
    files = [str((folder / file.name).absolute()) for file in read_manifest(folder).files]
    with duckdb.connect(
        ":memory:",
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    ) as connection:
        _require_select(connection, sql)
        connection.execute("SET allowed_paths = $files", {"files": files})
        connection.execute(_view(files))
        connection.execute("SET temp_directory = ''")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            found = connection.execute(sql)
            rows = found.fetchmany(most + 1)
        except duckdb.Error as error:
            raise QuestionRefused(str(error)) from None
        columns = [column[0] for column in found.description or ()]
    return Told(columns, rows[:most], len(rows) > most)


def _require_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QuestionRefused(str(error)) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QuestionRefused("Ask one question: a single SELECT on the table usage.")


def _view(files: Sequence[str]) -> str:
    """Return what makes the table: of no files an empty one."""
    if not files:
        columns = ", ".join(
            f"NULL::{_TYPES.get(str(field.type), 'TIMESTAMPTZ')} AS {field.name}"
            for field in SCHEMA
        )
        return f"CREATE VIEW usage AS SELECT {columns} WHERE false"  # our own names
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"CREATE VIEW usage AS SELECT * FROM read_parquet([{listed}])"  # noqa: S608
