"""A world for settlement tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.engines import open_engines
from operators.sql import SqlAuthorityLog
from operators.tables import METADATA
from tests.settle.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Both services over an empty ledger and a real authority log.

    On SQLite alone: that the log behaves the same on both stores is shown where it lives.
    """
    engines = open_engines("sqlite", tmp_path)
    METADATA.create_all(engines.authority)
    world = World(SqlAuthorityLog(engines.authority))
    await world.start()
    yield world
    engines.dispose()
