"""Brakes are engaged by one person and released by two (G4, 双人复核)."""

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import brake_service_pb2 as pb
from gateway.administration.brakes import BrakeService
from gateway.authenticate.caller import Caller
from operators.administrators import DANGEROUS_SCOPES
from operators.brakes import MOST_ENGAGED
from tests.administration.office import acting, approve, furnish_office, machine, set_policy
from tests.administration.world import CALLER, CHIEF, ITEMS, NOW, REASON, World, reason_of
from tests.braking import brake, drafted

EVERYTHING = pb.BrakeReach(everything=True)


@pytest.fixture
def brakes(stored_world: World) -> BrakeService:
    """The service of one process; the test runs on both stores."""
    return BrakeService(stored_world.log, stored_world.feed, stored_world.clock)


async def engage(
    brakes: BrakeService, reach: pb.BrakeReach = EVERYTHING, caller: Caller = CALLER
) -> pb.Brake:
    """Engage a brake."""
    request = pb.EngageBrakeRequest(reach=reach, reason=REASON)
    return (await brakes.engage_brake(request, caller)).brake


async def release(
    brakes: BrakeService, brake_id: str, caller: Caller = CALLER
) -> pb.ReleaseBrakeResponse:
    """Release a brake."""
    request = pb.ReleaseBrakeRequest(brake_id=brake_id, reason="it is over")
    return await brakes.release_brake(request, caller)


async def listed(brakes: BrakeService, *, released: bool = False) -> list[pb.Brake]:
    """List brakes."""
    request = pb.ListBrakesRequest(show_released=released)
    return list((await brakes.list_brakes(request, CALLER)).brakes)


async def test_a_brake_is_engaged_listed_and_released(
    brakes: BrakeService, stored_world: World
) -> None:
    await stored_world.create()
    reaches = [EVERYTHING, pb.BrakeReach(operator_id="alpha"), pb.BrakeReach(item=ITEMS[0])]
    made = []
    for reach in reaches:
        stored_world.clock.at += 1
        made.append(await engage(brakes, reach))
    assert [each.reach for each in made] == reaches
    assert {(each.engaged_by, each.reason) for each in made} == {(CHIEF, REASON)}
    assert await listed(brakes) == made
    state = stored_world.authority.brakes
    assert (state.everything, state.operators, state.items) == (
        True,
        frozenset({"alpha"}),
        frozenset({ITEMS[0]}),
    )
    let_go = (await release(brakes, made[0].brake_id)).brake
    assert (let_go.release_reason, let_go.etag) == ("it is over", "2")
    assert await listed(brakes) == made[1:]
    assert await listed(brakes, released=True) == [let_go, *made[1:]]
    with pytest.raises(Refused) as refusal:
        await release(brakes, made[0].brake_id)
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_asked_again_by_the_same_person_it_is_the_same_brake(
    brakes: BrakeService, stored_world: World
) -> None:
    furnish_office(stored_world.log)
    first = await engage(brakes, caller=acting("ann"))
    assert await engage(brakes, caller=acting("ann")) == first
    other = await engage(brakes, caller=acting("bob"))
    assert other.brake_id != first.brake_id
    await release(brakes, first.brake_id)
    assert stored_world.authority.brakes.everything


@pytest.mark.parametrize(
    ("reach", "reason"),
    [
        (pb.BrakeReach(), "INVALID_REQUEST"),
        (pb.BrakeReach(everything=False), "INVALID_REQUEST"),
        (pb.BrakeReach(operator_id=""), "INVALID_REQUEST"),
        (pb.BrakeReach(operator_id="No"), "INVALID_REQUEST"),
        (pb.BrakeReach(item="NO"), "INVALID_REQUEST"),
        (pb.BrakeReach(operator_id="nobody"), "RESOURCE_NOT_FOUND"),
        (pb.BrakeReach(item="nothing"), "RESOURCE_NOT_FOUND"),
    ],
    ids=str,
)
async def test_a_brake_that_would_stop_nothing_is_refused(
    world: World, reach: pb.BrakeReach, reason: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await engage(BrakeService(world.log, world.feed, world.clock), reach)
    assert reason_of(refusal) == reason


async def test_a_brake_needs_a_reason(world: World) -> None:
    brakes = BrakeService(world.log, world.feed, world.clock)
    with pytest.raises(Refused) as refusal:
        await brakes.engage_brake(pb.EngageBrakeRequest(reach=EVERYTHING), CALLER)
    assert [each.field for each in refusal.value.violations] == ["reason"]


async def test_no_more_brakes_are_engaged_than_can_be_looked_through(world: World) -> None:
    brakes = BrakeService(world.log, world.feed, world.clock)
    world.log.append(
        [drafted(brake(f"b-{number:04d}", "ITEM", ITEMS[0])) for number in range(MOST_ENGAGED)],
        changed_by="office",
        changed_at=NOW,
        reason="test",
    )
    with pytest.raises(Refused) as refusal:
        await engage(brakes)
    assert reason_of(refusal) == "STATE_CONFLICT"
    await release(brakes, "b-0000")
    await engage(brakes)


async def test_guarded_a_brake_is_engaged_by_one_person_and_released_by_two(
    brakes: BrakeService, stored_world: World
) -> None:
    furnish_office(stored_world.log)
    await set_policy(stored_world, guarded=True)
    made = await engage(brakes, caller=acting("cat"))
    proposed = await release(brakes, made.brake_id, acting("ann"))
    assert not proposed.HasField("brake")
    assert stored_world.authority.brakes.everything
    with pytest.raises(Refused) as refusal:
        await approve(stored_world, proposed.proposal_id, acting("ann"))
    assert reason_of(refusal) == "STATE_CONFLICT"
    await approve(stored_world, proposed.proposal_id, acting("bob"))
    assert not stored_world.authority.brakes.everything


async def test_a_proposed_release_does_not_reach_a_brake_engaged_since(
    brakes: BrakeService, stored_world: World
) -> None:
    furnish_office(stored_world.log)
    await set_policy(stored_world, guarded=True)
    made = await engage(brakes, caller=acting("cat"))
    proposed = await release(brakes, made.brake_id, acting("ann"))
    again = await engage(brakes, caller=acting("bob"))
    await approve(stored_world, proposed.proposal_id, acting("bob"))
    assert stored_world.authority.brakes.everything
    assert [each.brake_id for each in await listed(brakes)] == [again.brake_id]


async def test_guarded_not_even_a_machine_releases_alone(
    brakes: BrakeService, stored_world: World
) -> None:
    furnish_office(stored_world.log)
    await set_policy(stored_world, guarded=True)
    made = await engage(brakes, caller=machine(CHIEF))
    assert (await release(brakes, made.brake_id, machine(CHIEF))).proposal_id
    assert stored_world.authority.brakes.everything


def test_only_letting_go_takes_a_step_up() -> None:
    assert "brakes:release" in DANGEROUS_SCOPES
    assert "brakes:engage" not in DANGEROUS_SCOPES
