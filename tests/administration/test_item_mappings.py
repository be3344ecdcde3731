"""Item mappings are versioned, one to one, of items there are, and take two under guard."""

from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import item_mapping_service_pb2 as pb
from gateway.administration.item_mappings import ItemMappingService
from tests.administration.office import acting, approve, furnish_office, set_policy
from tests.administration.world import CALLER, ITEMS, NOW, REASON, World, reason_of

NORTH = "https://north.invalid"


@pytest.fixture
def mappings(stored_world: World) -> ItemMappingService:
    """The service of one process; the test runs on both stores."""
    return ItemMappingService(stored_world.log, stored_world.feed, stored_world.clock)


def asked(items: dict[str, str], **fields: Any) -> pb.SetItemMappingRequest:
    """Return a request to map the items of the north."""
    usual: dict[str, Any] = {"region": NORTH, "catalogue_version": "1"}
    pairs = [pb.MappedItem(item=here, region_item=there) for here, there in items.items()]
    mapping = pb.ItemMapping(items=pairs, **usual | fields)
    return pb.SetItemMappingRequest(mapping=mapping, reason=REASON)


async def test_a_mapping_is_set_whole_and_each_change_makes_another_version(
    mappings: ItemMappingService, stored_world: World
) -> None:
    await stored_world.create()
    first = (await mappings.set_item_mapping(asked({ITEMS[0]: "fine"}), CALLER)).mapping
    assert (first.version, first.update_time.seconds) == (1, NOW)
    second = asked({ITEMS[0]: "xzcf", ITEMS[1]: "fine"}, version=1)
    assert (await mappings.set_item_mapping(second, CALLER)).mapping.version == 2
    (listed,) = (await mappings.list_item_mappings(pb.ListItemMappingsRequest(), CALLER)).mappings
    assert {pair.item: pair.region_item for pair in listed.items} == {
        ITEMS[0]: "xzcf",
        ITEMS[1]: "fine",
    }
    known = stored_world.authority.item_mappings
    assert known.translated(NORTH, ITEMS).pairs == ((ITEMS[0], "xzcf"), (ITEMS[1], "fine"))
    assert known.translated(NORTH, ITEMS).unmapped == (ITEMS[2],)
    assert known.counterparts(NORTH) == {"xzcf": ITEMS[0], "fine": ITEMS[1]}
    with pytest.raises(Refused) as refusal:
        await mappings.set_item_mapping(second, CALLER)
    assert reason_of(refusal) == "ETAG_MISMATCH"


@pytest.mark.parametrize(
    ("items", "fields", "reason"),
    [
        ({}, {}, "INVALID_REQUEST"),
        ({ITEMS[0]: "fine", ITEMS[1]: "fine"}, {}, "INVALID_REQUEST"),
        ({ITEMS[0]: "No Code"}, {}, "INVALID_REQUEST"),
        ({ITEMS[0]: "fine"}, {"region": "http://north.invalid"}, "INVALID_REQUEST"),
        ({ITEMS[0]: "fine"}, {"catalogue_version": ""}, "INVALID_REQUEST"),
        ({ITEMS[0]: "fine"}, {"version": -1}, "INVALID_REQUEST"),
        ({"nothing-here": "fine"}, {}, "RESOURCE_NOT_FOUND"),
        ({ITEMS[0]: "fine"}, {"version": 7}, "ETAG_MISMATCH"),
    ],
)
async def test_a_mapping_that_cannot_be_told_one_to_one_is_refused(
    mappings: ItemMappingService,
    stored_world: World,
    items: dict[str, str],
    fields: dict[str, Any],
    reason: str,
) -> None:
    await stored_world.create()
    with pytest.raises(Refused) as refusal:
        await mappings.set_item_mapping(asked(items, **fields), CALLER)
    assert reason_of(refusal) == reason


async def test_under_a_guarded_policy_a_mapping_waits_for_a_second_person(
    mappings: ItemMappingService, stored_world: World
) -> None:
    furnish_office(stored_world.log)
    await stored_world.create()
    await set_policy(stored_world, guarded=True)

    proposed = await mappings.set_item_mapping(asked({ITEMS[0]: "fine"}), acting("ann"))
    assert proposed.proposal_id
    assert not stored_world.authority.item_mappings.by_region
    await approve(stored_world, proposed.proposal_id, acting("bob"))
    assert NORTH in stored_world.authority.item_mappings.by_region
