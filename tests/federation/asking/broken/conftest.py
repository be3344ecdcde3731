"""Three regions, the way to one of which breaks, shared by all files here."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.federating import DISTRICTS
from tests.federation.asking.relay import Relay, relaying
from tests.federation.asking.world import World, open_relayed
from tests.installation import OPERATOR_ID


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def relay() -> AsyncIterator[Relay]:
    """The way to region "two"; tests leave it open."""
    async with relaying() as opened:
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory, relay: Relay) -> AsyncIterator[World]:
    """The regions; none of their operators but beta must agree with its use."""
    folder = Path(tmp_path_factory.mktemp("broken"))
    policy = folder / "agreement.yaml"
    excused = "".join(
        f"  {name}: 2099-12-31\n" for name in (OPERATOR_ID, *map("region-{}".format, DISTRICTS))
    )
    policy.write_text(f"remind: PT1S\nrefuse: PT1S\nexcused:\n{excused}")
    own: dict[str, Any] = {"chunk_subjects": 2, "witness_quorum": 1, "agreement_policy": policy}
    async with open_relayed(folder, relay, **own) as opened:
        yield opened
