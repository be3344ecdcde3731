"""Fixtures of the authorisation server's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oauth.world import World
from tests.stores import PostgresStores, SqliteStores, engines_of


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A fresh installation on SQLite, and on each kind of store for a test that is
    `on_both_stores`."""
    kind = "stores" if "stores" in request.fixturenames else "sqlite_stores"
    stores: SqliteStores | PostgresStores = request.getfixturevalue(kind)
    with stores.database() as store, engines_of(*store) as engines:
        yield World(tmp_path, engines.authority)
