"""Looking up what is disclosed now: the read side, on the path of every call.

Statements are written once in SQLAlchemy Core. On SQLite they are compiled at
start and run on a connection held open, on the event loop: an indexed read of a few
rows costs less than handing it to a thread. On PostgreSQL they run on a small pool
of threads, each with a pooled connection.

The head is read before the rows, each statement seeing the newest commit: rows are
never older than the head named with them.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Engine, Select, bindparam, func, literal_column, select
from sqlalchemy.dialects import sqlite

from gateway.disclose.model import Line, LiveRevision
from gateway.disclose.tables import EVENTS, LINES, REVISIONS
from gateway.storage.engines import reading

_THREADS: Final = 8
_PAD: Final = 128
_COLUMNS: Final = (
    REVISIONS.c.subject,
    REVISIONS.c.sequence,
    REVISIONS.c.line_no,
    REVISIONS.c.disclosed_from,
    REVISIONS.c.disclosed_until,
    REVISIONS.c.frame,
)
# Written out, not bound: only then can a planner tell that the partial index serves.
_LIVE: Final = REVISIONS.c.ended_by == literal_column("0")
_HEAD: Final = select(func.max(EVENTS.c.sequence))
_LINES: Final = select(LINES).order_by(LINES.c.line_no)


class Found(NamedTuple):
    """Live revisions at ``head``, the disclosure's newest event when they were read."""

    head: int
    revisions: Sequence[LiveRevision]


class DisclosureLookup(Protocol):
    """Finds live revisions; periods are left for the caller to check."""

    async def of_subject(self, subject: str) -> Found:
        """Return the live revisions of one subject in order of publication."""
        ...

    async def of_subjects(self, subjects: Sequence[str]) -> Found:
        """Return the live revisions of many subjects, grouped by subject."""
        ...

    async def of_record(self, record_id: str) -> Found:
        """Return the live revision of one record, or none."""
        ...

    async def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        ...

    def close(self) -> None:
        """Give back connections and threads."""
        ...


def open_lookup(engine: Engine) -> DisclosureLookup:
    """Return the lookup for the engine's kind of store."""
    return SqliteLookup(engine) if engine.dialect.name == "sqlite" else PooledLookup(engine)


def by_subjects(count: int) -> Select[*tuple[Any, ...]]:
    """Return the statement for ``count`` subjects, bound as s0, s1, ..."""
    names = [bindparam(f"s{i}") for i in range(count)]
    return (
        select(*_COLUMNS)
        .where(REVISIONS.c.subject.in_(names), _LIVE)
        .order_by(REVISIONS.c.subject, REVISIONS.c.sequence)
    )


def by_record() -> Select[*tuple[Any, ...]]:
    """Return the statement for one record, bound as s0."""
    return select(*_COLUMNS).where(REVISIONS.c.record_id == bindparam("s0"), _LIVE)


class SqliteLookup:
    """Lookup on one held SQLite connection, used by the event loop's thread alone."""

    def __init__(self, engine: Engine) -> None:
        self._held = engine.raw_connection()
        cursor: Any = self._held.cursor()
        self._execute = cursor.execute
        self._head = _sqlite_text(_HEAD)
        self._subject = _sqlite_text(by_subjects(1))
        self._subjects = _sqlite_text(by_subjects(_PAD))
        self._record = _sqlite_text(by_record())
        self._line_rows = _sqlite_text(_LINES)

    async def of_subject(self, subject: str) -> Found:
        """Return the live revisions of one subject in order of publication."""
        return self._read(self._subject, (subject,))

    async def of_subjects(self, subjects: Sequence[str]) -> Found:
        """Return the live revisions of many subjects, grouped by subject."""
        if len(subjects) <= _PAD:
            return self._read(self._subjects, (*subjects, *("",) * (_PAD - len(subjects))))
        head = self._read_head()
        rows: list[LiveRevision] = []
        for start in range(0, len(subjects), _PAD):
            rows.extend((await self.of_subjects(subjects[start : start + _PAD])).revisions)
        return Found(head, rows)

    async def of_record(self, record_id: str) -> Found:
        """Return the live revision of one record, or none."""
        return self._read(self._record, (record_id,))

    async def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        rows = self._execute(self._line_rows, ()).fetchall()
        return {row[0]: Line(*row[1:]) for row in rows}

    def _read_head(self) -> int:
        return self._execute(self._head, ()).fetchone()[0] or 0

    def _read(self, statement: str, parameters: Sequence[str]) -> Found:
        head = self._read_head()
        return Found(head, self._execute(statement, parameters).fetchall())

    def close(self) -> None:
        """Give the connection back."""
        self._held.close()


def _sqlite_text(statement: Select[*tuple[Any, ...]]) -> str:
    return str(statement.compile(dialect=sqlite.dialect()))


class PooledLookup:
    """Lookup on a pool of threads, for stores across a network."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")
        self._subject = by_subjects(1)
        self._subjects = by_subjects(_PAD)
        self._record = by_record()

    async def of_subject(self, subject: str) -> Found:
        """Return the live revisions of one subject in order of publication."""
        return await self._run(self._subject, [(subject,)])

    async def of_subjects(self, subjects: Sequence[str]) -> Found:
        """Return the live revisions of many subjects, grouped by subject."""
        groups = [
            (*part, *("",) * (_PAD - len(part)))
            for start in range(0, len(subjects), _PAD)
            for part in [subjects[start : start + _PAD]]
        ]
        return await self._run(self._subjects, groups)

    async def of_record(self, record_id: str) -> Found:
        """Return the live revision of one record, or none."""
        return await self._run(self._record, [(record_id,)])

    async def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read_lines)

    def _read_lines(self) -> dict[int, Line]:
        with reading(self._engine) as connection:
            return {row.line_no: Line(*row[1:]) for row in connection.execute(_LINES)}

    async def _run(
        self, statement: Select[*tuple[Any, ...]], groups: Sequence[Sequence[str]]
    ) -> Found:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, statement, groups)

    def _read(self, statement: Select[*tuple[Any, ...]], groups: Sequence[Sequence[str]]) -> Found:
        with reading(self._engine) as connection:
            head = connection.execute(_HEAD).scalar() or 0
            rows: list[LiveRevision] = []
            for group in groups:
                names = {f"s{i}": value for i, value in enumerate(group)}
                rows.extend(LiveRevision(*row) for row in connection.execute(statement, names))
        return Found(head, rows)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()
