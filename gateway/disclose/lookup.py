"""Looking up what is disclosed now: the read side, on the path of every call.

Subjects asked for one by one are gathered until the next turn and read by one
statement: under load a call pays a share of it. On SQLite statements are compiled at start and run on a
connection held open, on the event loop: an indexed read of a few rows costs less than
handing it to a thread. On PostgreSQL they run on a small pool of threads, each with a
pooled connection.

The head is read before the rows, each statement seeing the newest commit: rows are
never older than the head named with them.
"""

import asyncio
import json
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import ARRAY, Engine, Select, String, bindparam, func, literal_column, select
from sqlalchemy.dialects import sqlite

from gateway.disclose.model import Line, LiveRevision
from gateway.disclose.tables import EVENTS, LINES, REVISIONS
from gateway.storage.engines import DISCLOSURE, reading

_THREADS: Final = 8
_MAPPED_BYTES: Final = 1 << 30
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

    def of_subject(self, subject: str) -> Awaitable[Found]:
        """Return, to be awaited, the live revisions of one subject in order of publication."""
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


NextTurn = Callable[[Callable[[], None]], object]
"""Calls what it is given, however often, once when the next turn comes, soon, on the event loop."""


def open_lookup(engine: Engine, next_turn: NextTurn) -> DisclosureLookup:
    """Return the lookup for the engine's kind of store."""
    kind = SqliteLookup if engine.dialect.name == "sqlite" else PooledLookup
    return kind(engine, next_turn)


def by_subjects(dialect: str) -> Select[*tuple[Any, ...]]:
    """Return the statement for the subjects bound as ``subjects``: a JSON array of them
    on SQLite, an array on PostgreSQL."""
    if dialect == "sqlite":
        listed = func.json_each(bindparam("subjects")).table_valued("value")
        among = REVISIONS.c.subject.in_(select(listed.c.value))
    else:
        among = REVISIONS.c.subject == func.any(bindparam("subjects", type_=ARRAY(String)))
    return select(*_COLUMNS).where(among, _LIVE).order_by(REVISIONS.c.subject, REVISIONS.c.sequence)


def by_record() -> Select[*tuple[Any, ...]]:
    """Return the statement for one record, bound as ``record``."""
    return select(*_COLUMNS).where(REVISIONS.c.record_id == bindparam("record"), _LIVE)


Asked = dict[str, list["asyncio.Future[Found]"]]


class _GatheringLookup:
    """Gathers the subjects that are asked for one by one until the next turn."""

    def __init__(self, next_turn: NextTurn) -> None:
        self._next_turn = next_turn
        self._asked: Asked = {}

    def of_subject(self, subject: str) -> "asyncio.Future[Found]":
        """Return, to be awaited, the live revisions of one subject in order of publication."""
        self._next_turn(self._turn)
        found: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(subject, []).append(found)
        return found

    def _turn(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            self._read_asked(asked)
        except Exception as error:
            _tell_failure(asked, error)

    @abstractmethod
    def _read_asked(self, asked: Asked) -> None:
        """Read what is asked for, and tell it by `_tell`; by `_tell_failure` what fails later."""


def _tell(asked: Asked, found: Found) -> None:
    revisions: dict[str, list[LiveRevision]] = {}
    last, own_of_last = None, list[LiveRevision]()
    # They come grouped by subject.
    for revision in found.revisions:
        if (subject := revision[0]) != last:
            last, own_of_last = subject, revisions.setdefault(subject, [])
        own_of_last.append(revision)
    for subject, waiting in asked.items():
        own = Found(found.head, revisions.get(subject, ()))
        for future in waiting:
            if not future.done():
                future.set_result(own)


def _tell_failure(asked: Asked, error: BaseException) -> None:
    for waiting in asked.values():
        for future in waiting:
            if not future.done():
                future.set_exception(error)


class SqliteLookup(_GatheringLookup):
    """Lookup on one held SQLite connection, used by the event loop's thread alone."""

    def __init__(self, engine: Engine, next_turn: NextTurn) -> None:
        super().__init__(next_turn)
        self._held = engine.raw_connection()
        cursor: Any = self._held.cursor()
        self._execute = cursor.execute
        # Of the disclosure alone, which changes seldom: each commit to a file drops its map.
        cursor.execute(f"PRAGMA {DISCLOSURE}.mmap_size={_MAPPED_BYTES}")
        self._head, self._subjects, self._record, self._line_rows = _sqlite_texts()

    def _read_asked(self, asked: Asked) -> None:
        _tell(asked, self._read(self._subjects, json.dumps(list(asked))))

    async def of_subjects(self, subjects: Sequence[str]) -> Found:
        """Return the live revisions of many subjects, grouped by subject."""
        return self._read(self._subjects, json.dumps(subjects))

    async def of_record(self, record_id: str) -> Found:
        """Return the live revision of one record, or none."""
        return self._read(self._record, record_id)

    async def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        rows = self._execute(self._line_rows, ()).fetchall()
        return {row[0]: Line(*row[1:]) for row in rows}

    def _read(self, statement: str, parameter: str) -> Found:
        ((head,),) = self._execute(self._head, ()).fetchall()
        return Found(head or 0, self._execute(statement, (parameter,)).fetchall())

    def close(self) -> None:
        """Give the connection back."""
        self._held.close()


@cache
def _sqlite_texts() -> tuple[str, ...]:
    dialect = sqlite.dialect()
    statements = (_HEAD, by_subjects("sqlite"), by_record(), _LINES)
    return tuple(str(statement.compile(dialect=dialect)) for statement in statements)


class PooledLookup(_GatheringLookup):
    """Lookup on a pool of threads, for stores across a network."""

    def __init__(self, engine: Engine, next_turn: NextTurn) -> None:
        super().__init__(next_turn)
        self._engine = engine
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")
        self._subjects = by_subjects("postgresql")
        self._record = by_record()

    def _read_asked(self, asked: Asked) -> None:
        reading_them = self._in_thread(self._subjects, {"subjects": list(asked)})

        def tell(done: "asyncio.Future[Found]") -> None:
            error = done.exception()
            if error is None:
                _tell(asked, done.result())
            else:
                _tell_failure(asked, error)

        reading_them.add_done_callback(tell)

    async def of_subjects(self, subjects: Sequence[str]) -> Found:
        """Return the live revisions of many subjects, grouped by subject."""
        return await self._in_thread(self._subjects, {"subjects": list(subjects)})

    async def of_record(self, record_id: str) -> Found:
        """Return the live revision of one record, or none."""
        return await self._in_thread(self._record, {"record": record_id})

    async def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read_lines)

    def _read_lines(self) -> dict[int, Line]:
        with reading(self._engine) as connection:
            return {row.line_no: Line(*row[1:]) for row in connection.execute(_LINES)}

    def _in_thread(
        self, statement: Select[*tuple[Any, ...]], parameters: dict[str, Any]
    ) -> "asyncio.Future[Found]":
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, self._read, statement, parameters)

    def _read(self, statement: Select[*tuple[Any, ...]], parameters: dict[str, Any]) -> Found:
        with reading(self._engine) as connection:
            head = connection.execute(_HEAD).scalar() or 0
            rows = connection.execute(statement, parameters)
            return Found(head, [LiveRevision(*row) for row in rows])

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()
