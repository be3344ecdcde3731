"""A region that is cut off is not cleared with, and people are told of what waits."""

from pathlib import Path

import pytest
from sqlalchemy import select

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.tables import ALERTS
from gateway.federation.clearing import follower
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.rules import DAY_SECONDS, OVERDUE_SECONDS
from gateway.storage.background import Pace
from gateway.storage.engines import reading
from tests.federation.clearing.world import World, open_world
from tests.installation import eventually
from tests.stores import SqliteStores

LATE = AlertKind.ALERT_KIND_CLEARING_OVERDUE


def overdue(world: World) -> int:
    with reading(world.asking.installation.engines.evidence) as connection:
        return len(connection.execute(select(ALERTS).where(ALERTS.c.kind == int(LATE))).all())


async def test_uses_that_wait_for_a_region_that_is_cut_off_are_told_of(
    tmp_path: Path, sqlite_stores: SqliteStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_PACE", Pace(0.2))
    async with open_world(tmp_path, sqlite_stores) as world:
        await world.use()
        await world.run()
        await world.use()
        world.anchor.cut_off(world.home.entity_id)

        attempts = SqlAttempts(world.asking.installation.engines.evidence)

        async def told() -> bool:
            failure = attempts.failures().get(world.home.entity_id)
            return failure is not None and "does not stand" in failure.why

        now = world.clock.now()
        world.clock.reached = now - now % DAY_SECONDS + DAY_SECONDS + OVERDUE_SECONDS
        await eventually(told, 20)
        assert overdue(world) == 1
