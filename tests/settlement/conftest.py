"""Months of a real store for tests of settlement."""

from collections.abc import AsyncIterator

import pytest

from gateway.storage.engines import Engines
from tests.settlement.world import Ledger, Months


@pytest.fixture
async def months(engines: Engines) -> AsyncIterator[Months]:
    """What closes months, over an authority log with operators, prices and shares."""
    months = Months(engines)
    await months.start()
    yield months


@pytest.fixture
def ledger(engines: Engines) -> Ledger:
    """The empty ledger of operator "alpha"."""
    return Ledger(engines)
