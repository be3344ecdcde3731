"""One gateway of each kind of store for each module: each test has subjects of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.consents.counter import Counter, furnish, open_counter
from tests.installation import Installation


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def counter(request: pytest.FixtureRequest) -> AsyncIterator[Counter]:
    """A gateway, with channels of two operators and an administrator."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with request.getfixturevalue(kind).database() as store:
        installation = Installation(*store)
        installation.furnish()
        furnish(installation)
        async with installation.running() as gateway, open_counter(gateway) as opened:
            yield opened
        installation.close()
