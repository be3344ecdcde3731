"""Three regions that answer firms of their own quotas, shared by all files here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.federation.asking.rationed.firm import CHUNK
from tests.federation.asking.relay import Relay, relaying
from tests.federation.asking.world import World, open_relayed


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def relay() -> AsyncIterator[Relay]:
    """The way to region "two"; tests leave it open."""
    async with relaying() as opened:
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory, relay: Relay) -> AsyncIterator[World]:
    """The regions."""
    folder = Path(tmp_path_factory.mktemp("rationed"))
    async with open_relayed(folder, relay, chunk_subjects=CHUNK) as opened:
        yield opened
