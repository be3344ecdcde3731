"""Fixtures of the attacks: a furnished gateway that runs, one for each module.

What attacks leave behind is of use to none of the others: every secret is used once, and
no party's authority changes.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.ground import Cast, Ground, awake, standing_on
from tests.attacks.inside import seen_inside
from tests.installation import Installation
from tests.stores import SqliteStores


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lasting_ground(sqlite_stores: SqliteStores) -> AsyncIterator[Ground]:
    """A gateway with operators alpha and beta, for all tests of a module."""
    with (
        sqlite_stores.database() as store,
        pytest.MonkeyPatch.context() as patch,
        seen_inside(patch) as inside,
    ):
        installation = Installation(*store)
        installation.furnish()
        cast = Cast.enrolled_in(installation)
        async with installation.running() as gateway, standing_on(gateway, cast, inside) as ground:
            yield ground
        installation.close()


@pytest_asyncio.fixture(loop_scope="module")
async def ground(lasting_ground: Ground) -> Ground:
    """The gateway, once it sees authority."""
    await awake(lasting_ground.gateway)
    return lasting_ground
