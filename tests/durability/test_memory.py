"""An answer is gone when it is given: nothing of it waits for the collector, nor piles up."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager

import pytest

from creditgate.refusal import Refused
from gateway.storage.engines import Engines
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, Installation, company
from tests.meter.world import company as subject
from tests.respond.world import CONSENT, World, record, world_on
from tests.server.calls import draft, publish, query

pytestmark = rarely_on_postgresql

SUBJECTS = 40
RECORDS = 5
"""Records of each subject."""
OURS = ("consent", "creditgate", "gateway", "operators")

Ask = Callable[[World], Awaitable[object]]


@pytest.fixture
async def world(engines: Engines) -> AsyncIterator[World]:
    """The record service with records to serve, once called already."""
    async with world_on(engines) as world:
        world.publish(
            *(record(f"r-{i}-{j}", i) for i in range(SUBJECTS) for j in range(RECORDS)),
        )
        world.publish(record("consented", 1, CONSENT))
        world.give(1)
        await whole_batch(world)
        yield world


@contextmanager
def collected() -> Generator[list[object]]:
    """Give a list that in the end holds what only the collector would have freed."""
    left: list[object] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield left
        gc.collect()
        left += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def of_ours(thing: object) -> bool:
    """Tell whether a thing, or what it is made of, comes from this project."""
    return str(getattr(thing, "__module__", "")).startswith(OURS)


async def one_subject(world: World) -> None:
    await world.ask(1)


async def one_record(world: World) -> None:
    await world.get("r-1-0")


async def whole_batch(world: World) -> None:
    await world.batch(range(SUBJECTS))


async def many_at_once(world: World) -> None:
    await asyncio.gather(*(world.ask(number) for number in range(SUBJECTS)))


async def under_a_consent(world: World) -> None:
    (consent,) = world.consents.listed(subject=subject(1), limit=1)
    answer = await world.ask(1, items=[CONSENT], consent=consent.name)
    assert len(answer.records) == 1


async def a_refusal(world: World) -> None:
    with pytest.raises(Refused):
        await world.ask(1, items=[CONSENT])


async def a_dropped_batch(world: World) -> None:
    async with aclosing(world.batched(range(SUBJECTS))) as batch:
        await anext(batch)


@pytest.mark.parametrize(
    "ask",
    [
        one_subject,
        one_record,
        whole_batch,
        many_at_once,
        under_a_consent,
        a_refusal,
        a_dropped_batch,
    ],
)
async def test_no_call_leaves_a_cycle_to_the_collector(world: World, ask: Ask) -> None:
    await ask(world)
    with collected() as left:
        for _ in range(20):
            await ask(world)
    assert left == []


async def test_nothing_of_ours_is_left_to_the_collector_by_calls_over_grpc(
    embedded: Installation,
) -> None:
    async with embedded.running() as gateway:
        async with gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft("r-1", company(1))])
        async with gateway.channel() as operator:
            await query(operator)
            with collected() as left:
                for _ in range(20):
                    await query(operator)
    # gRPC itself leaves six small objects of each call, its metadata among them.
    assert [thing for thing in left if of_ours(thing)] == []


async def peak_of(world: World, numbers: range) -> int:
    tracemalloc.start()
    try:
        async with aclosing(world.batched(numbers)) as batch:
            async for _ in batch:
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_batch_takes_no_more_memory_the_longer_it_is(world: World) -> None:
    short, long = range(SUBJECTS // 4), range(SUBJECTS)
    # What is made once, such as statements, is no part of it; a driver prepares some of them only
    # when they were asked several times. So each is asked until it takes no less.
    peaks = {
        numbers: [await peak_of(world, numbers) for _ in range(6)] for numbers in (short, long)
    }
    kept = sum(len(message.SerializeToString()) for message in await world.batch(long))
    assert min(peaks[long]) - min(peaks[short]) < kept / 2
