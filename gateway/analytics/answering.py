"""A question in SQL, answered by DuckDB in a process of its own whose memory the system bounds.

DuckDB's own limit does not cover what functions such as ``range`` and ``repeat`` make, so the
process has one too, that of its data (Linux), and may come to its end by it. It reads a `Job` from
standard input and writes an `Answer` to standard output, both as JSON.
Source: DuckDB documentation, Securing DuckDB; setrlimit(2).
"""

import ctypes
import json
import resource
import signal
import sys
from math import isfinite
from typing import Any, Final, TypedDict

import duckdb

DATA_BYTES: Final = 2 << 30
"""Memory that the process may take in all."""
ANSWER_BYTES: Final = 64 << 20
"""The largest answer."""
_MEMORY: Final = "1GB"
_THREADS: Final = 2
# prctl(2), of linux/prctl.h.
_PR_SET_PDEATHSIG: Final = 1
TOO_MUCH: Final = (
    f"The question takes more memory than it may: {_MEMORY} for sorting and grouping,"
    f" {DATA_BYTES >> 30} GiB in all. Ask for fewer rows, groups or columns, or for a month at a time."
)
"""Why a question is refused that meets a bound."""
_ANSWER_TOO_LARGE: Final = (
    f"The answer is larger than {ANSWER_BYTES >> 20} MiB. Ask for fewer rows or columns."
)


class Job(TypedDict):
    """What is asked: ``sql`` on the table that ``view`` makes of ``files``, and how many rows at
    most are wanted."""

    files: list[str]
    view: str
    sql: str
    most: int


class Answer(TypedDict):
    """Rows under ``columns``, ``more`` where some were left out; or why there are none."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool
    refused: str


def answer(job: Job) -> Answer:
    """Return what the files say, or why the question is refused."""
    try:
        return _answer(job)
    except (MemoryError, duckdb.OutOfMemoryException):
        return _refused(TOO_MUCH)
    except duckdb.Error as error:
        return _refused(str(error))
    except UnicodeEncodeError:
        return _refused("The question is not in UTF-8.")


def _answer(job: Job) -> Answer:
    with duckdb.connect(
        ":memory:",
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    ) as connection:
        # DuckDB does not take a text that has no UTF-8.
        job["sql"].encode()
        statements = connection.extract_statements(job["sql"])
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            return _refused("Ask one question: a single SELECT on the table usage.")
        connection.execute("SET allowed_paths = $files", {"files": job["files"]})
        connection.execute(job["view"])
        connection.execute("SET temp_directory = ''")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        found = connection.execute(job["sql"])
        rows = found.fetchmany(job["most"] + 1)
        return {
            "columns": [column[0] for column in found.description or ()],
            "rows": [[*map(_plain, row)] for row in rows[: job["most"]]],
            "more": len(rows) > job["most"],
            "refused": "",
        }


def _refused(why: str) -> Answer:
    return {"columns": [], "rows": [], "more": False, "refused": why}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, as a text where it has none such."""
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return [*map(_plain, value)] if isinstance(value, list | tuple) else str(value)


def _end_with_the_asker() -> None:
    """Have the system end this process where the one that began it ends first (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = DATA_BYTES if hard == resource.RLIM_INFINITY else min(DATA_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    # What is aborted by it leaves no copy of the archive behind.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _written(found: Answer) -> bytes:
    try:
        written = json.dumps(found).encode()
    except MemoryError:
        return json.dumps(_refused(TOO_MUCH)).encode()
    if len(written) > ANSWER_BYTES:
        return json.dumps(_refused(_ANSWER_TOO_LARGE)).encode()
    return written


if __name__ == "__main__":
    _end_with_the_asker()
    _bound_memory()
    sys.stdout.buffer.write(_written(answer(json.loads(sys.stdin.buffer.read()))))
