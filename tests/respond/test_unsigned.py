"""Who has not agreed with its use is given no new answer, whichever way it asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from creditgate.refusal import Refused
from gateway.usage.duties import Unsigned
from tests.clock import NOW
from tests.respond.delivering import Call
from tests.respond.world import World, caller, names, reason, record


@pytest.fixture
async def refusing(world: World) -> AsyncIterator[World]:
    """A world with four records, which looks at who is refused."""
    world.publish(*(record(f"r-{number}", number) for number in range(1, 5)))
    await world.unsigned.start()
    yield world
    await world.unsigned.stop()


async def refused(world: World) -> None:
    """Refuse alpha, and wait until that is known."""
    world.refused["alpha"] = Unsigned(NOW, 1)
    await asyncio.sleep(0.1)


async def why(asking: Awaitable[object]) -> str:
    """Return what a call is refused for."""
    with pytest.raises(Refused) as refusal:
        await asking
    return reason(refusal)


async def test_no_way_of_asking_is_open_and_nothing_is_charged(refusing: World) -> None:
    await refused(refusing)
    call = Call(refusing, [1, 2], eager=True)
    for asking in (refusing.ask(1), refusing.get("r-1"), refusing.batch([1]), call.over()):
        assert await why(asking) == "USAGE_UNSIGNED"
    assert refusing.charged() == 0
    assert names(await refusing.ask(1, asking=caller("beta"))) == ["r-1"]


async def test_a_stream_that_is_under_way_ends_with_the_chunk_it_is_at(refusing: World) -> None:
    answers = refusing.batched(range(1, 9))
    first = await anext(answers)
    await refused(refusing)
    assert await why(anext(answers)) == "USAGE_UNSIGNED"
    assert refusing.charged() == len(first.records) == 4


async def test_who_has_agreed_goes_on(refusing: World) -> None:
    await refused(refusing)
    assert await why(refusing.ask(1)) == "USAGE_UNSIGNED"
    refusing.refused.clear()
    await asyncio.sleep(0.1)
    assert names(await refusing.ask(1)) == ["r-1"]
