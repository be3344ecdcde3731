"""Gateways served in the test's own process."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.installation import Gateway, Installation


@pytest_asyncio.fixture
async def gateway(installation: Installation) -> AsyncIterator[Gateway]:
    """The installation, served in this process."""
    async with installation.running() as running:
        yield running


@pytest_asyncio.fixture
async def embedded_gateway(embedded: Installation) -> AsyncIterator[Gateway]:
    """The installation on SQLite, served in this process."""
    async with embedded.running() as running:
        yield running
