"""One gateway for each module of these tests, with the catalogue it ships with."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest_asyncio

from tests.installation import furnished
from tests.reports.asking import Reporter
from tests.stores import SqliteStores
from tests.subject.world import World, running_world


@dataclass(frozen=True)
class Site:
    """A gateway and an operator's client that asks for reports."""

    world: World
    channel: grpc.aio.Channel

    @property
    def reporter(self) -> Reporter:
        """The client."""
        return Reporter(self.world, self.channel)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[Site]:
    """All of it, running, on SQLite."""
    with furnished(sqlite_stores) as installation:
        async with running_world(installation) as world, world.gateway.channel() as channel:
            yield Site(world, channel)


@pytest_asyncio.fixture(loop_scope="module")
async def reporter(site: Site) -> Reporter:
    """The client of an operator."""
    return site.reporter
