"""The two regions, shared by all files here, on each kind of store."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.federation.home.pair import Pair, open_pair


@pytest_asyncio.fixture(
    scope="package", loop_scope="package", params=["sqlite_stores", "postgres_stores"]
)
async def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Two regions that know one another; tests leave them as they were."""
    stores = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("regions")
    async with open_pair(folder, stores) as pair:
        yield pair
