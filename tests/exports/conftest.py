"""A ledger on both stores."""

import pytest

from gateway.storage.engines import Engines
from tests.exports.world import Ledger


@pytest.fixture
def ledger(engines: Engines) -> Ledger:
    """An empty ledger."""
    return Ledger(engines)
