"""A disclosure site to load into, and the real data."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from sqlalchemy import Engine

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.catalogue.model import CATALOGUE_ITEM
from tests.contract.conftest import data_folder
from tests.installation import PUBLISHER, Installation
from tests.loading.site import Site, open_site
from tests.stores import engines_of

__all__ = ["data_folder"]


@pytest_asyncio.fixture
async def served(records_engine: Engine) -> AsyncIterator[tuple[Site, grpc.aio.Channel]]:
    """A site on each kind of store, and a channel to it."""
    async with open_site(records_engine) as opened:
        yield opened


@pytest_asyncio.fixture
async def on_sqlite(sqlite_store: tuple[str, Path]) -> AsyncIterator[tuple[Site, grpc.aio.Channel]]:
    """A site on SQLite, where the store makes no difference, and a channel to it."""
    with engines_of(*sqlite_store) as engines:
        async with open_site(engines.records) as opened:
            yield opened


@pytest.fixture
def publishing(sqlite_store: tuple[str, Path]) -> Iterator[Installation]:
    """A whole installation on SQLite with the national catalogue and a publisher."""
    installed = Installation(*sqlite_store)
    for item in read_catalogue(NATIONAL):
        installed.keep(CATALOGUE_ITEM, item.code, item)
    installed.enrol(PUBLISHER, ClientRole.CLIENT_ROLE_PUBLISHER)
    yield installed
    installed.close()
