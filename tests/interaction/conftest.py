"""A gateway with the development provider, a console for administrators, a browser."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from tests.installation import Installation, furnished
from tests.interaction.world import World, running_world
from tests.people import browser
from tests.stores import SqliteStores


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[World]:
    """One gateway for all tests that change nothing another rests on but who administers."""
    with furnished(sqlite_stores) as installation:
        async with running_world(installation) as world:
            yield world


@pytest_asyncio.fixture(loop_scope="package")
async def world(site: World) -> AsyncIterator[World]:
    """That gateway, with a new browser."""
    before = site.installation.log.head()
    async with browser(site.installation) as visitor:
        yield replace(site, browser=visitor)
    await site.put_back(before)


@pytest_asyncio.fixture(loop_scope="package")
async def own_world(embedded: Installation) -> AsyncIterator[World]:
    """A gateway of the test's own, for what changes more than that."""
    async with running_world(embedded) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="package")
async def stored_world(installation: Installation) -> AsyncIterator[World]:
    """The test runs on both kinds of store, on gateways of its own."""
    async with running_world(installation) as world:
        yield world
