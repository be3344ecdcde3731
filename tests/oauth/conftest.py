"""Fixtures of the authorisation server's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.oauth.world import World
from tests.stores import engines_of


@pytest.fixture
def world(tmp_path: Path, authority_engine: Engine) -> World:
    """A fresh installation."""
    return World(tmp_path, authority_engine)


@pytest.fixture
def embedded_world(tmp_path: Path, sqlite_store: tuple[str, Path]) -> Iterator[World]:
    """A fresh installation on SQLite, for what does not depend on the kind of store."""
    with engines_of(*sqlite_store) as engines:
        yield World(tmp_path, engines.authority)
