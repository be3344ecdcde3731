"""Months of a real store for tests of documents."""

from collections.abc import AsyncIterator

import pytest

from gateway.storage.engines import Engines
from tests.documents.world import POOLED, TIERS, quarter
from tests.settlement.world import FEBRUARY, Ledger, Months


@pytest.fixture
def ledger(engines: Engines) -> Ledger:
    """The ledger of operator "alpha"."""
    return Ledger(engines)


@pytest.fixture
async def months(engines: Engines, ledger: Ledger) -> AsyncIterator[Months]:
    """A quarter, closed."""
    months = Months(engines)
    await months.start()
    months.put(FEBRUARY, POOLED, TIERS)
    await months.feed.refresh()
    quarter(months, ledger)
    yield months
