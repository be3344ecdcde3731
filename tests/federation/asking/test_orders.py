"""Orders go on without who asked, and what goes on so is bounded in number, time and memory."""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.asking import budget as budgets
from gateway.federation.asking import orders as ordering
from gateway.federation.asking.budget import Budget
from gateway.federation.asking.endings import LATE, Ended
from gateway.federation.asking.orders import Orders

TOO_MANY = RefusalReason.REFUSAL_REASON_RATE_EXCEEDED


async def hung_up(orders: Orders, waiting: Awaitable[None], budget: Budget | None = None) -> Budget:
    """Begin an order of alpha that waits for a region, and hang up on it."""
    asked = budget or Budget(60)

    async def order() -> None:
        await asked.spent(waiting, asked=True)

    asking = asyncio.create_task(orders.result("alpha", asked, order()))
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait({asking})
    return asked


async def test_an_order_goes_on_when_nobody_waits_for_it() -> None:
    orders, answer, ended = Orders(), asyncio.Event(), asyncio.Event()

    async def answered() -> None:
        await answer.wait()
        ended.set()

    budget = await hung_up(orders, answered())
    assert budget.over
    answer.set()
    async with asyncio.timeout(1):
        await ended.wait()


async def test_who_is_late_is_told_so_and_read_on_for_the_overtime_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budgets, "OVERTIME_SECONDS", 0.3)
    orders, budget, over = Orders(), Budget(0.1), list[float]()

    async def silent() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            over.append(time.monotonic())

    async def order() -> None:
        await budget.spent(silent(), asked=True)

    started = time.monotonic()
    with pytest.raises(Ended) as ended:
        await orders.result("alpha", budget, order())
    assert ended.value.outcome == LATE
    assert 0.1 <= time.monotonic() - started < 0.3
    assert over == []
    await asyncio.sleep(0.4)
    assert len(over) == 1
    assert 0.4 <= over[0] - started < 0.7


async def test_a_region_that_was_not_asked_yet_is_not_asked_any_more() -> None:
    budget = Budget(60)
    budget.leave()
    with pytest.raises(Ended):
        budget.require()
    spent = Budget(0)
    with pytest.raises(Ended):
        await spent.spent(asyncio.sleep(60))


async def test_who_hangs_up_on_many_is_let_ask_again_when_they_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ordering, "MOST_LEFT_EACH", 3)
    monkeypatch.setattr(ordering, "MOST_LEFT", 4)
    orders, answer = Orders(), asyncio.Event()

    async def answered() -> None:
        await answer.wait()

    for _ in range(3):
        orders.require_room("alpha")
        await hung_up(orders, answered())
    for operator_id, allowed in (("alpha", False), ("beta", True)):
        if allowed:
            orders.require_room(operator_id)
            continue
        with pytest.raises(Refused) as refused:
            orders.require_room(operator_id)
        assert (refused.value.reason, refused.value.retry_after) == (TOO_MANY, 1)
    await hung_up(orders, answered())
    with pytest.raises(Refused):
        orders.require_room("beta")
    answer.set()
    await asyncio.sleep(0.05)
    orders.require_room("alpha")


async def test_what_is_read_on_is_given_up_where_it_takes_too_much_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ordering, "MOST_LEFT_BYTES", 1_000)
    monkeypatch.setattr(ordering, "_CLOSING_SECONDS", 0.1)
    orders, never = Orders(), asyncio.Event()

    async def silent() -> None:
        await never.wait()

    waited_for = Budget(60)
    waiting = asyncio.create_task(orders.result("beta", waited_for, silent()))
    await asyncio.sleep(0.01)
    one, other = [await hung_up(orders, silent()) for _ in range(2)]
    one.take(600)
    other.take(400)
    with pytest.raises(Ended):
        other.take(1)
    # Who is waited for is not given up for them.
    waited_for.take(10_000)
    await orders.close()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_closing_ends_what_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "_CLOSING_SECONDS", 0.1)
    orders, never = Orders(), asyncio.Event()
    ended: list[bool] = []

    async def silent() -> None:
        try:
            await never.wait()
        finally:
            ended.append(True)

    await hung_up(orders, silent())
    async with asyncio.timeout(2):
        await orders.close()
    assert ended == [True]
