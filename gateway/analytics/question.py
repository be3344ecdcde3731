"""Questions in SQL on an archive, answered by DuckDB: never by the live store.

A question is one SELECT. It reads the archive's files and nothing else of the machine, writes
nothing, loads no extension, and takes bounded memory (`gateway.analytics.answering`).
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.analytics.answering import TOO_MUCH, Answer, Job
from gateway.analytics.archive import SCHEMA, read_manifest

MOST_ROWS: Final = 10_000
"""Rows of an answer that are returned."""
_TYPES: Final = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER"}
# -P: the caller's folder may hold modules of the same names.
_COMMAND: Final = (sys.executable, "-P", "-m", "gateway.analytics.answering")


class QuestionRefused(ValueError):
    """The question is not one SELECT, DuckDB refuses it, or it takes too much memory; the message
    says why."""


class Told(NamedTuple):
    """An answer: names of columns and rows; ``more`` tells that rows were left out.

    Values are those of JSON; what it has none such for is a text.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool


def ask(folder: Path, sql: str, most: int = MOST_ROWS) -> Told:
    """Return what the archive in ``folder`` says; the table is called ``usage``.

    Raises ArchiveUnreadable, QuestionRefused, and RuntimeError where DuckDB cannot be run.
    """
    files = [str((folder / file.name).absolute()) for file in read_manifest(folder).files]
    answer = _answered({"files": files, "view": _view(files), "sql": sql, "most": most})
    if answer["refused"]:
        raise QuestionRefused(answer["refused"])
    return Told(answer["columns"], [*map(tuple, answer["rows"])], answer["more"])


def _answered(job: Job) -> Answer:
    asked = json.dumps(job).encode()
    # Our own module: what is asked comes by standard input.
    done = subprocess.run(_COMMAND, input=asked, capture_output=True, check=False)  # noqa: S603
    if done.returncode < 0:
        # A signal: DuckDB gave up, or the system ended it.
        raise QuestionRefused(TOO_MUCH)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return json.loads(done.stdout)


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
