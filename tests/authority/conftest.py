"""Fixtures of the feed's tests."""

from collections.abc import Generator

import pytest

from gateway.storage.engines import Engines
from tests.stores import PostgresStores, engines_of


@pytest.fixture
def postgres_engines(postgres_stores: PostgresStores) -> Generator[Engines]:
    """Both engines of an empty PostgreSQL store."""
    with postgres_stores.database() as store, engines_of(*store) as engines:
        yield engines
