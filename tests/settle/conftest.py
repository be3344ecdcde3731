"""A world for settlement tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.engines import open_engines
from tests.settle.world import World
from tests.stores import place_migrated


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Both services over an empty ledger and a real authority log.

    On SQLite alone: that the log behaves the same on both stores is shown where it lives.
    """
    place_migrated(tmp_path)
    engines = open_engines("sqlite", tmp_path)
    world = World(engines)
    await world.start()
    yield world
    engines.dispose()
