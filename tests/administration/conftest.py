"""A world of administration on each store."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine

from operators.sql import SqlAuthorityLog
from tests.administration.world import World, furnish


@pytest.fixture
def log(authority_engine: Engine) -> SqlAuthorityLog:
    """The log of an installation just set up."""
    log = SqlAuthorityLog(authority_engine)
    furnish(log)
    return log


@pytest.fixture
async def world(log: SqlAuthorityLog) -> AsyncIterator[World]:
    """The service of one process."""
    async with World(log) as world:
        yield world
