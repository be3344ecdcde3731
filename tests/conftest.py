"""Fixtures every area shares: real stores, each test on SQLite and on PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from sqlalchemy import Engine
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from gateway.server.memory import collect_rarely, load_quickly
from gateway.storage.engines import Engines
from tests.examples import THOROUGH, is_rare
from tests.stores import PostgresStores, SqliteStores, engines_of
from tests.surroundings import (
    hear_of_no_other_poller,
    keep_compiled_code,
    keep_compiled_statements,
    keep_files_in_memory,
    keep_what_servers_are,
    look_for_no_other_loop,
    name_no_handlers,
    reach_this_host_directly,
)

if TYPE_CHECKING:
    from tests.installation import Installation

load_quickly()
reach_this_host_directly()
keep_files_in_memory()
keep_compiled_code()
keep_compiled_statements()
keep_what_servers_are()
look_for_no_other_loop()
name_no_handlers()
hear_of_no_other_poller()
# An example that takes long on a busy machine shows no fault.
settings.register_profile("creditgate", deadline=None, max_examples=30)
settings.register_profile(THOROUGH, deadline=None, max_examples=300)
settings.load_profile("creditgate")

# Areas whose files take long, the longest first: a file is run by one worker, and one that
# began late would keep the others waiting for it.
LONGEST = (
    "quality",
    "browser",
    "docs",
    "cli",
    "authority",
    "benchmarks",
    "demo",
    "durability",
    "faults",
    "server",
    "conformance",
    "node",
    "asking",
    "consented",
    "untrue",
    "broken",
    "rationed",
    "clearing",
    "home",
    "trust",
    "interaction",
    "administration",
    "transparency",
    "consents",
    "meter",
    "selfcheck",
    "backup",
    "witness",
    "recognition",
    "anchor",
)
# Areas whose files share what takes seconds to make: one worker runs all of their files.
TOGETHER = ("browser", "cli", "consented", "untrue", "broken", "rationed", "home", "interaction")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the areas whose files take longest first, then the files with the most tests; what is run
    together stays in the order that makes what it shares once. What is rare is marked as long."""
    for item in items:
        if is_rare(item):
            item.add_marker(pytest.mark.soak)
    tests = Counter(item.path for item in items)

    def turn(item: pytest.Item) -> tuple[int, str, int]:
        area = item.path.parent
        place = LONGEST.index(area.name) if area.name in LONGEST else len(LONGEST)
        if area.name in TOGETHER:
            return place, str(area), 0
        return place, "", -tests[item.path]

    items.sort(key=turn)


class FilesTogether(LoadFileScheduling):
    """Files to workers, those of an area of `TOGETHER` to the same."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        area = Path(file).parent
        return str(area) if area.name in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether | None:
    """Schedule by files as `TOGETHER` says."""
    return FilesTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Put aside what was loaded for all tests, as a gateway does at its start."""
    collect_rarely()


@pytest.fixture(scope="session")
def sqlite_stores(tmp_path_factory: pytest.TempPathFactory) -> SqliteStores:
    """SQLite stores of this run."""
    return SqliteStores(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresStores]:
    """A PostgreSQL server of this run's own."""
    stores = PostgresStores(tmp_path_factory.mktemp("pg"))
    yield stores
    stores.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest) -> SqliteStores | PostgresStores:
    """The stores of one kind; the test runs on both kinds."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    return request.getfixturevalue(name)


@pytest.fixture
def store(stores: SqliteStores | PostgresStores) -> Iterator[tuple[str, Path]]:
    """(database setting, home folder) of an empty store."""
    with stores.database() as database:
        yield database


@pytest.fixture
def sqlite_store(sqlite_stores: SqliteStores) -> Iterator[tuple[str, Path]]:
    """An empty SQLite store, for what does not depend on the kind."""
    with sqlite_stores.database() as database:
        yield database


@pytest.fixture
def engines(store: tuple[str, Path]) -> Iterator[Engines]:
    """Both engines of an empty store."""
    with engines_of(*store) as opened:
        yield opened


@pytest.fixture
def authority_engine(engines: Engines) -> Engine:
    """The authority engine of an empty store."""
    return engines.authority


@pytest.fixture
def records_engine(engines: Engines) -> Engine:
    """The records engine of an empty store."""
    return engines.records


@pytest.fixture
def installation(store: tuple[str, Path]) -> "Iterator[Installation]":
    """A furnished installation on each kind of store."""
    from tests.installation import Installation

    installed = Installation(*store)
    installed.furnish()
    yield installed
    installed.close()


@pytest.fixture
def embedded(sqlite_store: tuple[str, Path]) -> "Iterator[Installation]":
    """A furnished installation on SQLite, for what does not depend on the kind."""
    from tests.installation import Installation

    installed = Installation(*sqlite_store)
    installed.furnish()
    yield installed
    installed.close()
