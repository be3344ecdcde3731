"""A region that hangs keeps no firm from what its own region, and others, have for it."""

import asyncio
from functools import partial

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import func, select

from gateway.federation.asking.charging import LEAST_A_SUBJECT
from gateway.meter.tables import QUOTA_HOLDS
from gateway.storage.engines import reading
from tests.federation.asking.rationed.firm import Firm, own_record
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import World, company, ended, names
from tests.installation import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
QUOTA = 1_000
MANY = 60
"""Room for so many companies is more than the quota."""


def held(firm: Firm) -> int:
    """Return how many records room is held for."""
    query = select(func.coalesce(func.sum(QUOTA_HOLDS.c.records), 0)).where(
        QUOTA_HOLDS.c.operator_id == firm.operator_id
    )
    with reading(firm.world.one.installation.engines.records) as connection:
        return int(connection.execute(query).scalar_one())


async def test_while_a_region_hangs_its_firm_is_answered_here_and_by_others(
    world: World, relay: Relay
) -> None:
    firm = await Firm(world, QUOTA).known()
    own, third = company("one"), company("three")
    await world.publish(world.one, own)
    elsewhere = await world.publish(world.three, third)
    relay.flowing.clear()
    try:
        asked = [company("two") for _ in range(MANY)]
        seconds = Duration(seconds=8)
        hanging = asyncio.create_task(firm.ask(asked, region_deadline=seconds))
        await eventually(partial(_holds, firm), 5)
        assert held(firm) <= QUOTA // 2
        assert await own_record(firm, own) == ""
        other = await firm.ask([third], regions=[world.three.entity_id])
        assert names(other, world.three) == elsewhere
        assert not hanging.done()
        assert ended(await hanging, world.two) == "LATE"
        # It is read on, and may come still; it keeps the least room then.
        await eventually(partial(_eased, firm), 5)
        assert firm.held() == 1
    finally:
        relay.flowing.set()


async def _holds(firm: Firm) -> bool:
    return firm.held() == 1


async def _eased(firm: Firm) -> bool:
    return held(firm) == LEAST_A_SUBJECT * MANY
