"""Months of real stores for tests of documents: one quarter for each module, which nobody changes."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.documents.world import closed_quarter
from tests.settlement.world import Months


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def months(request: pytest.FixtureRequest) -> AsyncIterator[Months]:
    """A quarter of operator "alpha", closed, on each kind of store."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    async with closed_quarter(request.getfixturevalue(kind)) as (months, _):
        yield months
