"""One gateway for each module of these tests; what one changes is put right for the next."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from tests.console.world import World, running_world
from tests.federating import running_anchor_at
from tests.installation import furnished
from tests.people import browser
from tests.stores import SqliteStores


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    sqlite_stores: SqliteStores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """The gateway, a region's, on SQLite."""
    async with running_anchor_at(tmp_path_factory.mktemp("anchor")) as anchor:
        with furnished(sqlite_stores, **anchor.settings()) as installation:
            async with running_world(installation) as world:
                yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(site: World) -> AsyncIterator[World]:
    """The gateway, with a new browser in which nobody is signed in."""
    async with browser(site.installation) as visitor:
        yield replace(site, browser=visitor)
    await site.restore()
