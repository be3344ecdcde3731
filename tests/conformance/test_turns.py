"""Turns to attest: nobody keeps others out, by silence, by not reading, or by coming again."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
import pytest

from creditgate.refusal import Refused
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance import turns
from gateway.conformance.fair_slots import FairSlots
from gateway.conformance.turns import Turns
from tests.conformance.attesting import attest, opening
from tests.installation import furnished
from tests.stores import SqliteStores

RATE_EXCEEDED = RefusalReason.REFUSAL_REASON_RATE_EXCEEDED


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have turns end soon, of which there is one at a time."""
    monkeypatch.setattr(turns, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(turns, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(turns, "WAITED_SECONDS", 0.6)


@pytest.fixture
async def opened(impatient: None) -> AsyncIterator[Turns]:
    """Turns that are impatient."""
    del impatient
    given = Turns()
    yield given
    given.close()


async def test_who_had_a_slot_waits_behind_who_had_none() -> None:
    slots, order = FairSlots(1), list[str]()

    async def come(who: str) -> None:
        await slots.take(who, 5)
        order.append(who)
        slots.give_back(who)

    await come("greedy")
    await come("earlier")
    await come("greedy")
    await slots.take("holder", 5)
    waiting = [asyncio.create_task(come(who)) for who in ("greedy", "earlier", "first", "second")]
    await asyncio.sleep(0.01)
    slots.give_back("holder")
    await asyncio.gather(*waiting)
    assert order[3:] == ["first", "second", "earlier", "greedy"]


async def test_a_slot_that_comes_as_its_waiter_gives_up_goes_to_the_next() -> None:
    slots = FairSlots(1)
    await slots.take("holder", 5)
    gone = asyncio.create_task(slots.take("gone", 5))
    await asyncio.sleep(0.01)
    slots.give_back("holder")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert gone.cancelled()
    await slots.take("next", 0.1)


async def test_an_operator_that_is_silent_loses_its_turn_to_who_waits(opened: Turns) -> None:
    async def silent() -> None:
        async with opened.of("silent") as turn:
            await turn.work(int)
            await asyncio.Event().wait()

    call = asyncio.create_task(silent())
    await asyncio.sleep(0.01)
    async with asyncio.timeout(2), opened.of("waiting") as turn:
        assert await turn.work(int) == 0
    with pytest.raises(Refused) as refused:
        await call
    assert refused.value.reason == RATE_EXCEEDED


async def test_to_speak_now_and_then_does_not_keep_a_turn_for_ever(
    opened: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a tenth of a second may last as long as silence does.
    monkeypatch.setattr(turns, "SILENT_SECONDS", 20)
    spoken, began = 0, time.monotonic()
    with pytest.raises(Refused):
        async with opened.of("slow") as turn:
            while spoken < 20:
                spoken += 1
                await asyncio.sleep(0.1)
                await turn.work(int)
    assert time.monotonic() - began >= turns.WAITED_SECONDS
    assert 1 < spoken <= 7


async def test_an_operator_that_does_not_read_loses_its_turn(opened: Turns) -> None:

    async def answers() -> AsyncGenerator[int]:
        async with opened.of("deaf") as turn:
            yield await turn.work(int)

    async def call() -> None:
        async for _ in answers():
            # As the transport does while the peer takes nothing.
            await asyncio.Event().wait()

    calling = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    async with asyncio.timeout(2), opened.of("waiting") as turn:
        assert await turn.work(int) == 0
    assert calling.done()
    await asyncio.gather(calling, return_exceptions=True)


async def test_who_should_hold_many_copies_is_given_time_to_read_them(
    opened: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "COPIES_A_SECOND", 10)
    async with opened.of("large") as turn:
        turn.expect(10)
        await asyncio.sleep(0.8)
        assert await turn.work(int) == 0


@pytest.mark.usefixtures("impatient")
async def test_stalled_reconciliations_do_not_keep_another_operator_from_attesting(
    sqlite_stores: SqliteStores,
) -> None:
    with furnished(sqlite_stores) as installation:
        installation.license("beta", "L-BETA")
        installation.enrol("beta-one", ClientRole.CLIENT_ROLE_OPERATOR, "beta")
        async with (
            installation.running() as gateway,
            gateway.channel() as stalling,
            gateway.channel("beta-one") as other,
        ):
            stalled: Any = ConformanceServiceStub(stalling).ReconcileCopies()
            await stalled.write(pb.ReconcileCopiesRequest(opening=opening(0)))
            assert (await stalled.read()).HasField("terms")
            async with asyncio.timeout(5):
                assert (await attest(other, [])).copies == 0
                assert (await stalled.read()).symbols_wanted
                assert await stalled.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
