"""A disclosure on each store."""

from collections.abc import AsyncIterator

import pytest

from gateway.storage.engines import Engines
from tests.disclose.world import World


@pytest.fixture
async def world(engines: Engines) -> AsyncIterator[World]:
    """An empty disclosure with the shipped catalogue and one publisher."""
    world = World(engines)
    await world.start()
    yield world
    await world.stop()
