"""Three regions whose firm asks under consents, shared by all files here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.consents.counter import Counter, open_counter
from tests.federation.asking.consented.consenting import open_consenting
from tests.federation.asking.relay import Relay, relaying
from tests.federation.asking.world import World


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def relay() -> AsyncIterator[Relay]:
    """The way to region "two"; tests leave it open."""
    async with relaying() as opened:
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory, relay: Relay) -> AsyncIterator[World]:
    """The regions; tests leave mappings and catalogues as they were."""
    async with open_consenting(Path(tmp_path_factory.mktemp("consented")), relay) as opened:
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def counter(world: World) -> AsyncIterator[Counter]:
    """Where consents are asked for and given, at region "one"."""
    async with open_counter(world.one.gateway) as opened:
        yield opened
