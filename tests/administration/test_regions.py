"""Administrators decide under which operator a region asks; its keys are not theirs to enter."""

from collections.abc import Callable

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as operators_pb
from creditgate.v1 import region_service_pb2 as pb
from gateway.administration.regions import RegionService
from gateway.authenticate.caller import Caller
from gateway.federation.trust.hearing import not_heard
from gateway.federation.trust.standing import not_trusted
from operators.log import Draft
from operators.regions import REGION, REGION_CLASS, region_client_id
from tests.administration.office import acting, approve, furnish_office, set_policy
from tests.administration.world import CALLER, NOW, REASON, World, create_request, grant, reason_of
from tests.operators.regions import ENTITY, known

CLIENT_ID = region_client_id(ENTITY)
WEST = "https://west.example"
QUERY = "federation.records:query"


def stands(_: str) -> object:
    return None


def does_not(_: str) -> object:
    raise not_trusted()


def unknown(_: str) -> object:
    raise not_heard()


def service(world: World, told: Callable[[str], object] | None = stands) -> RegionService:
    return RegionService(world.log, world.feed, world.clock, told)


async def create(world: World, operator_id: str = "east", of_class: str = REGION_CLASS) -> None:
    request = create_request(operator_id)
    request.operator.operator_class = of_class
    await world.service.create_operator(request, CALLER)


async def admit(
    world: World, entity_id: str = ENTITY, operator_id: str = "east", caller: Caller = CALLER
) -> pb.AdmitRegionResponse:
    request = pb.AdmitRegionRequest(entity_id=entity_id, operator_id=operator_id, reason=REASON)
    return await service(world).admit_region(request, caller)


def verify(world: World, entity_id: str = ENTITY) -> None:
    """Write what the chain of a region says."""
    region = known(entity_id)
    world.log.append(
        [Draft(REGION, region.client_id, 0, region.as_document())],
        changed_by="federation",
        changed_at=NOW,
        reason="test",
    )


async def test_a_region_is_admitted_listed_and_dismissed(stored_world: World) -> None:
    world = stored_world
    await create(world)
    made = (await admit(world)).region
    assert (made.entity_id, made.client_id, made.operator_id) == (ENTITY, CLIENT_ID, "east")
    assert made.admit_time.seconds == NOW
    # It may ask once its chain is known.
    assert CLIENT_ID not in world.authority.clients
    verify(world)
    await world.feed.refresh()
    assert world.authority.clients[CLIENT_ID].operator_id == "east"
    regions = service(world)
    listed = (await regions.list_regions(pb.ListRegionsRequest(), CALLER)).regions
    (got,) = listed
    assert (got.codes, got.grpc) == (["31"], ["east.example:443"])
    assert got.standing == pb.RegionStanding.REGION_STANDING_STANDS
    assert (await regions.get_region(pb.GetRegionRequest(entity_id=ENTITY), CALLER)).region == got
    request = pb.DismissRegionRequest(entity_id=ENTITY, reason=REASON)
    gone = (await regions.dismiss_region(request, CALLER)).region
    assert (gone.operator_id, gone.etag) == ("", "2")
    assert world.authority.clients[CLIENT_ID].removed_at == NOW
    with pytest.raises(Refused) as refusal:
        await regions.dismiss_region(request, CALLER)
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    assert (await admit(world)).region.etag == "3"


async def test_how_a_region_stands_is_told_as_far_as_it_is_known(world: World) -> None:
    verify(world)
    await world.feed.refresh()
    for told, standing in [
        (stands, "STANDS"),
        (does_not, "DOES_NOT_STAND"),
        (unknown, "UNKNOWN"),
        (None, "NO_FEDERATION"),
    ]:
        request = pb.GetRegionRequest(entity_id=ENTITY)
        region = (await service(world, told).get_region(request, CALLER)).region
        assert region.standing == pb.RegionStanding.Value(f"REGION_STANDING_{standing}")


@pytest.mark.parametrize(
    ("entity_id", "operator_id", "reason"),
    [
        ("http://east.example", "east", "INVALID_REQUEST"),
        (f"{ENTITY}?q=1", "east", "INVALID_REQUEST"),
        (WEST, "nobody", "RESOURCE_NOT_FOUND"),
        (WEST, "firm", "STATE_CONFLICT"),
        (WEST, "east", "STATE_CONFLICT"),
        (ENTITY, "west", "RESOURCE_EXISTS"),
    ],
)
async def test_a_region_is_admitted_as_an_operator_of_its_own(
    world: World, entity_id: str, operator_id: str, reason: str
) -> None:
    await create(world)
    await create(world, "west")
    await create(world, "firm", "bank")
    await admit(world)
    with pytest.raises(Refused) as refusal:
        await admit(world, entity_id, operator_id)
    assert reason_of(refusal) == reason


async def test_an_operator_that_was_a_firm_before_is_no_regions(world: World) -> None:
    await create(world, of_class="bank")
    named = operators_pb.GetOperatorRequest(operator_id="east")
    operator = (await world.service.get_operator(named, CALLER)).operator
    operator.operator_class = REGION_CLASS
    request = operators_pb.UpdateOperatorRequest(operator=operator, reason=REASON)
    await world.service.update_operator(request, CALLER)
    with pytest.raises(Refused) as refusal:
        await admit(world)
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_nobody_registers_or_changes_a_regions_client_by_hand(world: World) -> None:
    await create(world)
    await admit(world)
    verify(world)
    await world.feed.refresh()
    with pytest.raises(Refused) as refusal:
        await world.register("region-east", "REGION", "east")
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await world.register(CLIENT_ID, "OPERATOR", "east")
    assert reason_of(refusal) == "RESOURCE_EXISTS"
    with pytest.raises(Refused) as refusal:
        await world.rotate(CLIENT_ID, "1", "other")
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await world.remove(CLIENT_ID)
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_an_operator_of_a_region_holds_scopes_of_regions_and_no_others(world: World) -> None:
    await create(world)
    await world.issue(operator_id="east")
    assert await world.grant(grant("east", QUERY))
    with pytest.raises(Refused) as refusal:
        await world.grant(grant("east", "credit.records:read"))
    assert reason_of(refusal) == "INVALID_REQUEST"
    await create(world, "firm", "bank")
    await world.issue("L-2", operator_id="firm")
    with pytest.raises(Refused) as refusal:
        await world.grant(grant("firm", QUERY))
    assert reason_of(refusal) == "INVALID_REQUEST"


async def test_under_a_guarded_policy_two_admit_a_region_and_one_dismisses_it(
    world: World,
) -> None:
    furnish_office(world.log)
    await create(world)
    await set_policy(world, guarded=True)
    proposed = await admit(world, caller=acting("ann"))
    assert proposed.proposal_id
    assert not proposed.HasField("region")
    assert not world.authority.regions.admissions
    await approve(world, proposed.proposal_id, acting("bob"))
    assert world.authority.regions.admission(CLIENT_ID) is not None
    request = pb.DismissRegionRequest(entity_id=ENTITY, reason=REASON)
    await service(world).dismiss_region(request, acting("cat"))
    assert world.authority.regions.admission(CLIENT_ID) is None
