"""A world for tests of the record calls, on both stores."""

from collections.abc import AsyncIterator

import pytest

from gateway.storage.engines import Engines
from tests.respond.world import World, world_on


@pytest.fixture
async def world(engines: Engines) -> AsyncIterator[World]:
    """The record service on an empty store."""
    async with world_on(engines) as world:
        yield world
