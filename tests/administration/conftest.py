"""A world of administration."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine

from operators.sql import SqlAuthorityLog
from tests.administration.world import World, furnish
from tests.stores import SqliteStores, engines_of


@pytest.fixture
async def world(sqlite_stores: SqliteStores) -> AsyncIterator[World]:
    """The service of one process, on SQLite: for rules, which know nothing of the store."""
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        log = SqlAuthorityLog(engines.authority)
        furnish(log)
        async with World(log) as world:
            yield world


@pytest.fixture
def log(authority_engine: Engine) -> SqlAuthorityLog:
    """The log of an installation just set up; the test runs on both stores."""
    log = SqlAuthorityLog(authority_engine)
    furnish(log)
    return log


@pytest.fixture
async def stored_world(log: SqlAuthorityLog) -> AsyncIterator[World]:
    """The service of one process; the test runs on both stores."""
    async with World(log) as world:
        yield world
