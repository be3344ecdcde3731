"""A country of two regions, shared by the tests of a file, and the model's verdict after each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.ledgers import broken_promises
from tests.faults.regions import Country, open_country
from tests.faults.watching import Watcher, furnished, watching, whole


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watcher]:
    """Who watches a country of two regions."""
    folder = Path(tmp_path_factory.mktemp("country"))
    async with (
        open_country(folder, "one", "two", furnish=furnished) as opened,
        watching(opened) as watcher,
    ):
        await whole(watcher)
        yield watcher


@pytest_asyncio.fixture(loop_scope="module")
async def country(watcher: Watcher) -> AsyncIterator[Country]:
    """The country; when a test is over, it is made whole and judged."""
    yield watcher.country
    await whole(watcher)
    assert broken_promises(watcher) == []
