"""A gateway with the development provider, a console for administrators, a browser."""

from collections.abc import AsyncIterator

import pytest

from tests.installation import Installation
from tests.interaction.world import World, running_world


@pytest.fixture
async def world(embedded: Installation) -> AsyncIterator[World]:
    """On SQLite, for what does not depend on the kind of store."""
    async with running_world(embedded) as world:
        yield world


@pytest.fixture
async def stored_world(installation: Installation) -> AsyncIterator[World]:
    """The test runs on both kinds of store."""
    async with running_world(installation) as world:
        yield world
