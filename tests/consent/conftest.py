"""Consents in each kind of store."""

import pytest
from sqlalchemy import Engine

from tests.consent.store import ConsentStore


@pytest.fixture
def consents(records_engine: Engine) -> ConsentStore:
    """The consents of an empty store."""
    return ConsentStore(records_engine)
