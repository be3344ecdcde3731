"""What makes a run quick wherever it is started: files in memory, code and SQL compiled once,
servers asked once what they are, nothing looked for that is not there."""

import logging
import os
import signal
import sys
import tempfile
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest.mock import patch

import psutil
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.util import LRUCache

from gateway.storage import engines

_MEMORY = Path("/dev/shm")
_LEAST_FREE = 2 << 30
_LEAST_AVAILABLE = 4 << 30
"""Bytes. A run keeps some 400 MB of files at most."""
_MOST_STATEMENTS = 4_000
_THIS_HOST = ("127.0.0.1", "localhost", "::1")


def keep_files_in_memory() -> None:
    """Have temporary files made in memory where there is room, by started processes too.

    On a disk each commit waits milliseconds for it, and no test shows what a power failure
    leaves. A TMPDIR that is set stands.
    """
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    memory = os.statvfs(_MEMORY)
    return (
        not memory.f_flag & os.ST_NOEXEC
        and memory.f_bavail * memory.f_frsize >= _LEAST_FREE
        and psutil.virtual_memory().available >= _LEAST_AVAILABLE
    )


def keep_compiled_code() -> None:
    """Have compiled code kept, also by started processes.

    Where images of containers forbid it, each gateway a test starts would compile all of it.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


class _Statements(LRUCache[Any, Any]):
    """Compiled statements of all engines: those of alike dialects compile alike."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_alike(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_alike(key), value)


def _alike(key: Any) -> tuple[object, ...]:
    dialect, *statement = key
    return type(dialect), dialect.paramstyle, dialect.server_version_info, *statement


def keep_compiled_statements() -> None:
    """Have statements compiled once in this process, not by the engines of each test anew: that
    takes a fifth of what a gateway takes to start."""
    shared = _Statements(_MOST_STATEMENTS)

    def made(url: Any, **how: Any) -> Engine:
        return create_engine(url, execution_options={"compiled_cache": shared}, **how)

    patch.object(engines, "create_engine", made).start()


def keep_what_servers_are() -> None:
    """Have each database of PostgreSQL asked once for its version and settings, not by each engine
    of each test: that is half of what the engine takes until it is connected."""
    asked = PGDialect_psycopg.initialize
    known: dict[str, dict[str, Any]] = {}

    def initialize(dialect: PGDialect_psycopg, connection: Connection) -> None:
        database = connection.engine.url.render_as_string(hide_password=False)
        if database in known:
            vars(dialect).update(known[database])
            return
        before = dict(vars(dialect))
        asked(dialect, connection)
        told = ("_type_memos", *before)
        known[database] = {name: it for name, it in vars(dialect).items() if name not in told}

    patch.object(PGDialect_psycopg, "initialize", initialize).start()


def name_no_handlers() -> None:
    """Have handlers of signals returned as they are. The library tries each as a number first, and
    tells the whole of what is none in an error that it drops: for each loop that runs and ends, all
    that its task returned, and up to a third of what such a test takes."""
    numbered: Any = vars(signal)["_int_to_enum"]

    def named(value: object, names: type[Enum]) -> object:
        return numbered(value, names) if isinstance(value, int) else value

    patch.object(signal, "_int_to_enum", named).start()


def reach_this_host_directly() -> None:
    """Have no proxy that the environment names asked for gateways of the tests, by started programs
    neither: what the SDK does by itself, tests' own clients are told so."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    direct = ",".join((*((named,) if named else ()), *_THIS_HOST))
    os.environ.update(no_proxy=direct, NO_PROXY=direct)


class _OtherPollers(logging.Filter):
    """Passes over what gRPC logs where several loops of one process wait for its one poller: one
    finds nothing left to read. Only tests have several."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        polled = "PollerCompletionQueue._handle_events" in record.getMessage()
        return not (polled and isinstance(error, BlockingIOError))


def hear_of_no_other_poller() -> None:
    """Have nothing logged of gRPC's poller being read by another loop."""
    logging.getLogger("asyncio").addFilter(_OtherPollers())


def look_for_no_other_loop() -> None:
    """Have httpcore told at once that sniffio is not installed: it looks through all folders of
    packages for it several times a request, which takes a sixth of one on a new connection."""
    if find_spec("sniffio") is None:
        sys.modules["sniffio"] = cast("ModuleType", None)
