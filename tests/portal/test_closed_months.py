"""The use of a month that was closed: the days go on as the ledger does, the statement does not."""

import re

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from gateway.portal.apart import apart
from gateway.settle.month import month_of, shifted
from tests.installation import ADMINISTRATOR, OPERATOR_ID
from tests.portal.world import REPRESENTATIVE, PortalWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_came_after_a_month_was_closed_is_told_beside_its_days(
    world: PortalWorld,
) -> None:
    await world.use(3)
    past = shifted(month_of(world.installation.clock.now()), -1)
    path = f"/{OPERATOR_ID}/use?month={past.name}"

    async def seen() -> tuple[str, str, str]:
        """Return the records of the days, and what is told of them in Chinese and in English."""
        zh, en = (await world.see(path)).text, (await world.see(f"{path}&lang=en")).text
        (total,) = re.findall(r"([0-9,]+) in all", en)
        told = [re.findall(r'<p class="panel">(.*?)</p>', text) for text in (zh, en)]
        return total, "".join(told[0]), "".join(told[1])

    world.used_at(past.until - 3_600, [1, 2])
    await world.sign_in(REPRESENTATIVE)
    assert await seen() == ("2", "", "")
    async with world.gateway.channel(ADMINISTRATOR) as channel:
        asked = settlement_pb.ClosePeriodRequest(month=past.name, request_id="close")
        await SettlementServiceStub(channel).ClosePeriod(asked)
    assert await seen() == ("2", "", "")
    world.used_at(past.until - 1_800, [1, 2, 3])
    days, zh, en = await seen()
    assert days == "5"
    assert zh.startswith("上图比下表多 3 条：下表是 ")
    assert "在以后月份的账单中作为调整列出" in zh
    assert en.startswith("The chart counts 3 more than the table below, which is the statement as")


async def test_days_are_told_to_be_apart_from_closed_statements_alone() -> None:
    open_month = pb.Statement(total_entries=1_200)
    closed = pb.Statement(total_entries=1_200, close_time=Timestamp(seconds=1_775_001_600))
    assert apart(open_month, 1_201, "zh") == apart(closed, 1_200, "zh") == ""
    # What is credited later is of the days no more.
    assert apart(closed, 100, "zh").startswith("上图比下表少 1,100 条：下表是 2026-04-01 ")
    assert apart(closed, 100, "en").startswith("The chart counts 1,100 fewer than the table below")
