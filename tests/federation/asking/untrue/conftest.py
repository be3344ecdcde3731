"""Three regions that may say what is not true, shared by all files here."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.federation.asking.untrue.dishonest import Homes, homes
from tests.federation.asking.world import World, open_world


@pytest.fixture(scope="package")
def acting() -> Iterator[Homes]:
    """What regions do that they should not; each test names its own questions."""
    with homes() as made:
        yield made


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory, acting: Homes) -> AsyncIterator[World]:
    """The regions; the directory of region "three" is believed until a test finds it out."""
    folder = Path(tmp_path_factory.mktemp("untrue"))
    async with open_world(folder, witness_quorum=1, chunk_subjects=2) as opened:
        yield opened
