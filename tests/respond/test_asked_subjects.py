"""The ledger has how many subjects were asked about, found or not, whichever way they were."""

import pytest

from creditgate.refusal import Refused
from tests.respond.delivering import Call
from tests.respond.world import World, record


def asked(world: World) -> list[int]:
    """Return how many subjects each answer was about."""
    return [row.asked_subjects for row in world.answers()]


async def test_each_answer_counts_the_subjects_asked_about(world: World) -> None:
    world.publish(record("a", 1), record("b", 1), record("c", 2))
    await world.ask(1)
    await world.ask(7)
    await world.get("c")
    with pytest.raises(Refused):
        await world.get("never-published")
    assert asked(world) == [1, 1, 1]


async def test_a_batch_without_a_record_counts_all_it_asked_about(world: World) -> None:
    await world.batch(range(100, 110))
    assert asked(world) == [4, 4, 2]
    # Again, it is a batch that is charged; a retry is none.
    await world.batch(range(100, 103), request_id="once")
    await world.batch(range(100, 103), request_id="once")
    assert asked(world) == [4, 4, 2, 3]


async def test_a_delivery_counts_as_a_batch_does(world: World) -> None:
    world.publish(record("a", 1))
    call = Call(world, [1, 2, 3], eager=True)
    await call.over()
    assert asked(world) == [2, 1]
