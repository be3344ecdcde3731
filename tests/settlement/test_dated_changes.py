"""What is put into force never counts for what was used before, whatever clocks say.

Over real gateways whose clock is ahead while records are used, and then put right.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from creditgate.rating.components import GRADUATED, PriceComponent, Tier
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.operator_service_pb2_grpc import OperatorServiceStub
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from sdk.refusals import explain
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_ID,
    PRICE,
    PUBLISHER,
    Installation,
    company,
)
from tests.server.calls import draft, publish, query

pytestmark = rarely_on_postgresql

RECORDS = 4
_SOON = 60
"""Seconds after which a plan starts that the host, busy as it is, puts into force before."""
DEAR = 20 * PRICE


@dataclass
class MovedClock:
    """The time of this host, so many seconds away."""

    ahead: int = 0

    def now(self) -> int:
        """Give whole seconds since the epoch, UTC."""
        return int(time.time()) + self.ahead


class Used:
    """A gateway that answered one query of four records, and those who call it."""

    def __init__(
        self, operator: grpc.aio.Channel, administrator: grpc.aio.Channel, clock: MovedClock
    ) -> None:
        self._statements = UsageServiceStub(operator)
        self._operator = operator
        self.operators = OperatorServiceStub(administrator)
        self.settlement = SettlementServiceStub(administrator)
        self.clock = clock

    async def query(self) -> int:
        """Ask once more; return what the receipt charges."""
        answer = await query(self._operator)
        return answer.receipt.charged_micro_yuan

    async def bill(self) -> int:
        """Return what the month comes to, in micro-yuan."""
        month = time.strftime("%Y-%m", time.gmtime(self.clock.now()))
        request = usage_pb.GetStatementRequest(month=month)
        return (await self._statements.GetStatement(request)).statement.total_micro_yuan

    async def become(self, operator_class: str) -> None:
        """Give the operator another class."""
        named = operators_pb.GetOperatorRequest(operator_id=OPERATOR_ID)
        operator = (await self.operators.GetOperator(named)).operator
        operator.operator_class = operator_class
        await self.operators.UpdateOperator(
            operators_pb.UpdateOperatorRequest(operator=operator, reason="it is one")
        )

    async def put(self, plan_id: str, effective_from: int) -> None:
        """Put a dearer plan into force."""
        plan = settlement_pb.PricePlan(
            plan_id=plan_id,
            prices=[settlement_pb.ClassPrice(price_class="adverse", unit_price_micro_yuan=PRICE)],
        )
        plan.effective_from.seconds = effective_from
        component = plan.components.add(
            component_id="dear", kind=settlement_pb.PRICE_COMPONENT_KIND_GRADUATED
        )
        component.tiers.add(unit_price_micro_yuan=DEAR)
        await self.settlement.CreatePricePlan(
            settlement_pb.CreatePricePlanRequest(plan=plan, reason="dearer")
        )


@asynccontextmanager
async def used(store: tuple[str, Path], ahead: int) -> AsyncGenerator[Used]:
    """Give a gateway that metered four records by a clock that was so far ahead."""
    clock = MovedClock()
    installation = Installation(*store, clock=clock)
    installation.furnish()
    dear = PriceComponent(
        component_id="bank",
        kind=GRADUATED,
        operator_classes=frozenset({"bank"}),
        tiers=(Tier(from_records=0, unit_price=DEAR),),
    )
    plan = PricePlan(
        plan_id="banks",
        effective_from=clock.now(),
        prices={"adverse": PRICE},
        components=(dear,),
    )
    installation.put(PRICE_PLAN, plan.plan_id, plan.model_dump(mode="json"))
    async with (
        installation.running() as gateway,
        gateway.channel() as operator,
        gateway.channel(ADMINISTRATOR) as administrator,
        gateway.channel(PUBLISHER) as publisher,
    ):
        await publish(publisher, [draft(f"r{number}", company(1)) for number in range(RECORDS)])
        world = Used(operator, administrator, clock)
        clock.ahead = ahead
        assert await world.query() == RECORDS * PRICE
        clock.ahead = 0
        yield world
    installation.close()


async def test_class_is_not_changed_for_use_that_a_clock_ahead_metered(
    store: tuple[str, Path],
) -> None:
    async with used(store, ahead=120) as world:
        before = await world.bill()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.become("bank")
        assert explain(refused.value).reason == "STATE_CONFLICT"
        assert await world.bill() == before
        world.clock.ahead = 121
        await world.become("bank")
        assert await world.bill() == before


async def test_plan_does_not_start_before_use_that_a_clock_ahead_metered(
    store: tuple[str, Path],
) -> None:
    async with used(store, ahead=120) as world:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.put("dear", world.clock.now() + 1)
        assert [each.field for each in explain(refused.value).violations] == ["plan.effective_from"]


@always_on_postgresql
async def test_change_of_a_class_does_not_count_for_the_second_it_is_made_in(
    store: tuple[str, Path],
) -> None:
    async with used(store, ahead=0) as world:
        before = await world.bill()
        await world.become("bank")
        assert await world.bill() == before


async def test_plan_does_not_start_in_the_second_that_goes_by(store: tuple[str, Path]) -> None:
    async with used(store, ahead=0) as world:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.put("dear", world.clock.now())
        (fault,) = explain(refused.value).violations
        assert fault.field == "plan.effective_from"
        before = await world.bill()
        await world.put("dear", world.clock.now() + _SOON)
        world.clock.ahead = _SOON
        assert await world.bill() == before
        assert await world.query() == RECORDS * DEAR
        assert await world.bill() == before + RECORDS * DEAR


async def test_revocation_is_never_held_up_by_a_clock_that_was_ahead(
    store: tuple[str, Path],
) -> None:
    async with used(store, ahead=120) as world:
        request = operators_pb.RevokeOperatorRequest(operator_id=OPERATOR_ID, reason="fraud")
        answer = await world.operators.RevokeOperator(request)
        assert answer.operator.state == operators_pb.OPERATOR_STATE_REVOKED
