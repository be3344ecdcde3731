"""Every column of what is kept of other regions' answers, and of what regions asked here, is changed:
found, or listed with the reason why it carries no fact."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from random import Random

import pytest
import pytest_asyncio
from sqlalchemy import Table

from gateway.clock import SystemClock
from gateway.federation.asking.tables import REGION_ANSWERS, REGION_USES
from gateway.meter.region_asks import REGION_ASKS
from gateway.selfcheck.check import check_stores
from gateway.selfcheck.coverage import NO_FACT_COLUMNS
from gateway.transparency.salts import Salts
from tests.federation.asking.world import World, company, open_world
from tests.installation import Installation, eventually
from tests.transparency.tampering import changed, removed, rows_of, tampered

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.soak]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("tampering")) as opened:
        yield opened


async def test_every_column_changed_and_every_row_taken_away_is_found(world: World) -> None:
    subject = company("two")
    await world.publish(world.two, subject, 2)
    await world.ask(subject)
    tables = {
        REGION_ANSWERS: world.one.installation,
        REGION_USES: world.one.installation,
        REGION_ASKS: world.two.installation,
    }
    for installation in (world.one.installation, world.two.installation):
        await eventually(partial(asyncio.to_thread, _is_whole, installation))
    assert await asyncio.to_thread(_unnoticed, tables) == []


def _unnoticed(tables: Mapping[Table, Installation]) -> list[str]:
    chance, unnoticed = Random(20261129), list[str]()
    for table, installation in tables.items():
        row = chance.choice(rows_of(installation.engines.records, table))
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            if name in NO_FACT_COLUMNS:
                continue
            value = changed(chance, row[column.name])
            with tampered(installation.engines.records, table, row, column, value):
                if _is_whole(installation):
                    unnoticed.append(name)
        with removed(installation.engines.records, table, row):
            if _is_whole(installation):
                unnoticed.append(table.name)
    return unnoticed


def _is_whole(installation: Installation) -> bool:
    salts = Salts.kept_in(installation.home.salts)
    checked = check_stores(installation.engines, salts, SystemClock().now())
    return not checked.faults and not checked.waiting
