"""The emergency brake: what it reaches is stopped and charged nothing, and all else is served."""

from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.brakes import Reach
from tests.braking import brake, drafted
from tests.respond.world import (
    CONSENT,
    OPEN,
    OTHER,
    RESTRICTED,
    World,
    caller,
    names,
    reason,
    record,
)

# What a brake stops is told from authority, before any store is asked.
pytestmark = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
BETA = caller("beta")


async def engage(world: World, reach: Reach, target: str = "") -> None:
    """Engage a brake, and let the service know of it."""
    await world.put(drafted(brake("b-1", reach, target)))


async def release(world: World, reach: Reach, target: str = "") -> None:
    """Release that brake."""
    await world.put(drafted(brake("b-1", reach, target, released_at=9), 1))


async def braked(call: Any) -> tuple[str, str]:
    """Return the metadata of a refusal by a brake: reach, and items."""
    with pytest.raises(Refused) as refusal:
        await call
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_EMERGENCY_BRAKE
    return refusal.value.metadata["reach"], refusal.value.metadata.get("items", "")


async def test_brake_on_everything_stops_all_answers_and_charges_nothing(world: World) -> None:
    world.publish(record("a"))
    await engage(world, "EVERYTHING")
    for call in (
        world.ask(1),
        world.ask(1, asking=BETA),
        world.ask(1, items=[OTHER]),
        world.ask(2),
        world.get("a"),
        world.get("never-published"),
        world.batch([1, 2]),
    ):
        assert await braked(call) == ("EVERYTHING", "")
    assert not world.answers()
    await release(world, "EVERYTHING")
    assert names(await world.ask(1)) == ["a"]


async def test_brake_on_an_operator_stops_its_answers_alone(world: World) -> None:
    world.publish(record("a"))
    await engage(world, "OPERATOR", "alpha")
    assert await braked(world.ask(1)) == ("OPERATOR", "")
    assert names(await world.ask(1, asking=BETA)) == ["a"]


async def test_brake_on_an_item_stops_every_answer_it_might_be_in(world: World) -> None:
    """G11: whether or not the subject has records of it."""
    world.publish(record("open", 1, OPEN), record("other", 2, OTHER))
    await engage(world, "ITEM", OPEN)
    for number in (1, 2, 3):
        assert await braked(world.ask(number)) == ("ITEM", OPEN)
        assert await braked(world.ask(number, items=[OPEN, OTHER])) == ("ITEM", OPEN)
    assert not world.answers()
    assert names(await world.ask(2, items=[OTHER])) == ["other"]


async def test_records_of_other_items_are_given_by_name_and_no_refusal_tells_which_exist(
    world: World,
) -> None:
    world.publish(record("open", 1, OPEN), record("other", 1, OTHER))
    await engage(world, "ITEM", OPEN)
    assert names(await world.get("other")) == ["other"]
    told = {await braked(world.get(name)) for name in ("open", "never-published")}
    assert told == {("ITEM", OPEN)}
    assert world.charged() == 1


async def test_brake_on_a_consent_item_stops_what_a_consent_would_open(world: World) -> None:
    world.publish(record("open", 1, OPEN), record("tax", 1, CONSENT))
    consent = world.give(1)
    await engage(world, "ITEM", CONSENT)
    assert names(await world.ask(1)) == ["open"]
    assert await braked(world.ask(1, consent=consent.name)) == ("ITEM", CONSENT)


async def test_brake_on_an_item_nobody_gets_stops_nothing(world: World) -> None:
    world.publish(record("open", 1, OPEN))
    await engage(world, "ITEM", RESTRICTED)
    assert names(await world.ask(1)) == ["open"]


async def test_retry_of_what_was_charged_is_stopped_too(world: World) -> None:
    world.publish(record("a"))
    await world.ask(1, request_id="same")
    await engage(world, "EVERYTHING")
    assert await braked(world.ask(1, request_id="same")) == ("EVERYTHING", "")
    await release(world, "EVERYTHING")
    assert (await world.ask(1, request_id="same")).receipt.replayed


@pytest.mark.parametrize(
    ("reach", "target"), [("EVERYTHING", ""), ("OPERATOR", "alpha"), ("ITEM", OPEN)]
)
async def test_brake_engaged_between_decision_and_charge_stops_the_answer(
    world: World, reach: Reach, target: str
) -> None:
    """G4: what was decided before it and not yet charged is decided anew."""
    world.publish(record("a"))
    view = world.feed.current()

    def engage_now() -> None:
        # As another process writes it, and this one's feed reads it.
        change = world.log.append(
            [drafted(brake("b-1", reach, target))],
            changed_by="office",
            changed_at=0,
            reason="test",
        )
        world.feed._view = view.advanced(change)  # pyright: ignore[reportPrivateUsage]

    world.lookup.then.append(engage_now)
    assert (await braked(world.ask(1)))[0] == reach
    assert world.lookup.readings == 1
    assert not world.answers()


async def test_brake_engaged_between_two_chunks_ends_the_batch(world: World) -> None:
    world.publish(*(record(f"r-{number}", number) for number in range(1, 9)))
    stream = world.batched(range(1, 9))
    await anext(stream)
    await engage(world, "EVERYTHING")
    with pytest.raises(Refused) as refusal:
        await anext(stream)
    assert reason(refusal) == "EMERGENCY_BRAKE"
    assert world.charged() == 4


async def test_what_two_brakes_reach_stays_stopped_until_both_are_released(world: World) -> None:
    world.publish(record("a"))
    await engage(world, "EVERYTHING")
    await world.put(drafted(brake("b-2", "OPERATOR", "alpha")))
    await release(world, "EVERYTHING")
    assert await braked(world.ask(1)) == ("OPERATOR", "")
    await world.put(drafted(brake("b-2", "OPERATOR", "alpha", released_at=9), 1))
    assert names(await world.ask(1)) == ["a"]
