"""G9: what was corrected, repaired or withdrawn before the commit is in no later answer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from creditgate.refusal import Refused
from tests.respond.world import World, names, reason, record


async def _unary(world: World) -> list[str]:
    return names(await world.ask(1))


async def _batch(world: World) -> list[str]:
    return [name for message in await world.batch([1, 2]) for name in names(message)]


@pytest.mark.parametrize("call", [_unary, _batch])
async def test_repair_between_reading_and_metering_is_seen(
    world: World, call: Callable[[World], Awaitable[list[str]]]
) -> None:
    world.publish(record("a"), record("b"))
    world.lookup.then.append(lambda: world.disclosure.repair("a"))
    assert await call(world) == ["b"]
    assert world.lookup.readings == 2
    assert world.charged() == 1


async def test_record_repaired_between_reading_and_metering_is_not_found(world: World) -> None:
    world.publish(record("a"))
    world.lookup.then.append(lambda: world.disclosure.repair("a"))
    with pytest.raises(Refused) as refusal:
        await world.get("a")
    assert reason(refusal) == "RECORD_NOT_DISCLOSED"
    assert not world.answers()


async def test_correction_between_reading_and_metering_brings_the_new_revision(
    world: World,
) -> None:
    world.publish(record("a"))
    world.lookup.then.append(
        lambda: world.disclosure.correct(record("a", content=b'{"about":"new"}', digest=b"2" * 32))
    )
    (served,) = (await world.ask(1)).records
    assert (served.revision, served.content) == (2, b'{"about":"new"}')
    assert world.charged() == 1


async def test_subject_whose_records_change_all_the_time_is_refused_not_served_old(
    world: World,
) -> None:
    world.publish(*(record(f"r-{i}") for i in range(10)))
    repairs = [lambda i=i: world.disclosure.repair(f"r-{i}") for i in range(8)]
    world.lookup.then += repairs
    with pytest.raises(Refused) as refusal:
        await world.ask(1)
    assert reason(refusal) == "DISCLOSURE_CHANGING"
    assert not world.answers()


async def test_publication_between_reading_and_metering_holds_nothing_up(world: World) -> None:
    (sequence,) = world.publish(record("a"))
    world.lookup.then.append(lambda: world.publish(record("b"), record("c", 2)))
    answer = await world.ask(1)
    assert names(answer) == ["a"]
    assert answer.receipt.disclosure_sequence == sequence
    assert world.lookup.readings == 1


async def test_removals_under_load_are_in_no_answer_begun_after_them(world: World) -> None:
    """Many askers and one publisher at once: whoever asks after a repair does not see it."""
    world.publish(*(record(f"r-{i}") for i in range(20)))
    gone: set[str] = set()

    async def publisher() -> None:
        for number in range(20):
            await asyncio.to_thread(world.disclosure.repair, f"r-{number}")
            gone.add(f"r-{number}")

    async def asker() -> None:
        served: list[str] = []
        while len(gone) < 20 or served:
            before = set(gone)
            try:
                served = names(await world.ask(1))
            except Refused:
                continue
            assert not before.intersection(served)

    await asyncio.gather(publisher(), *(asker() for _ in range(8)))
