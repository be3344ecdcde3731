"""Licences: unique, within the catalogue, for operators that stand, revoked once."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from tests.administration.world import (
    CALLER,
    DAY,
    NOW,
    REASON,
    World,
    fields_of,
    keep_large_licences,
    licence,
    period,
    reason_of,
)


async def _list(world: World, operator_id: str = "alpha") -> list[pb.Licence]:
    request = pb.ListLicencesRequest(operator_id=operator_id)
    return list((await world.service.list_licences(request, CALLER)).licences)


async def test_licence_is_kept_as_asked(world: World) -> None:
    await world.create()
    asked = licence(items=["tax", "penalty"])
    asked.etag = "9"
    asked.revoke_time.seconds = 1
    request = pb.IssueLicenceRequest(licence=asked, reason=REASON)
    made = (await world.service.issue_licence(request, CALLER)).licence
    asked.ClearField("revoke_time")
    asked.etag = "1"
    asked.items[:] = ["penalty", "tax"]
    assert made == asked
    assert await _list(world) == [made]
    assert world.authority.licences["L-1"].in_force(NOW)


async def test_licences_are_listed_by_start_with_those_revoked(world: World) -> None:
    await world.create()
    await world.issue("L-1", start=NOW + 2 * DAY)
    await world.issue("L-3", start=NOW - DAY)
    await world.issue("L-2", start=NOW - DAY)
    await world.end_licence("L-2")
    assert [found.number for found in await _list(world)] == ["L-2", "L-3", "L-1"]


async def test_licence_number_is_given_once(world: World) -> None:
    await world.create()
    await world.create("beta")
    await world.issue()
    await world.end_licence()
    with pytest.raises(Refused) as refusal:
        await world.issue(operator_id="beta")
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_repeated_issue_hears_that_it_succeeded_though_the_validity_is_over(
    world: World,
) -> None:
    await world.create()
    await world.issue(end=NOW + DAY)
    world.clock.at = NOW + DAY
    with pytest.raises(Refused) as refusal:
        await world.issue(end=NOW + DAY)
    assert reason_of(refusal) == "RESOURCE_EXISTS"


async def test_revoked_operator_gets_no_licence_and_a_suspended_one_may(world: World) -> None:
    await world.create()
    await world.suspend()
    await world.issue("L-1")
    await world.revoke()
    with pytest.raises(Refused) as refusal:
        await world.issue("L-2")
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await world.issue("L-2", operator_id="beta")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"


async def test_licence_covers_only_items_of_the_catalogue(world: World) -> None:
    await world.create()
    with pytest.raises(Refused) as refusal:
        await world.issue(items=["penalty", "unheard", "tax", "unseen"])
    assert fields_of(refusal) == ["licence.items[1]", "licence.items[3]"]
    assert "unheard" not in refusal.value.message


async def test_licence_covers_only_regions_of_provinces_there_are(world: World) -> None:
    await world.create()
    with pytest.raises(Refused) as refusal:
        await world.issue(regions=["11", "99", "3101", "9901", "10", "1000", "100001"])
    assert fields_of(refusal) == [f"licence.regions[{at}]" for at in (1, 3, 4, 5, 6)]
    await world.issue("L-1", regions=["11", "000000", "820000", "100000"])
    await world.issue("L-2", regions=["*"])


async def test_licence_under_which_nothing_could_be_served_is_not_issued(world: World) -> None:
    await world.create()
    with pytest.raises(Refused) as refusal:
        await world.issue(quota=0)
    assert fields_of(refusal) == ["licence.daily_record_quota"]
    await world.issue(quota=1)


async def test_licence_that_is_over_is_not_issued(world: World) -> None:
    await world.create()
    with pytest.raises(Refused) as refusal:
        await world.issue(start=NOW - DAY, end=NOW)
    assert fields_of(refusal) == ["licence.validity.end_time"]
    await world.issue(start=NOW - DAY, end=NOW + 1)


async def test_every_fault_of_a_licence_is_named_by_its_field(world: World) -> None:
    asked = pb.Licence(
        number="L 1",
        operator_id="Alpha",
        items=["penalty", "No Item"],
        purposes=[Purpose.PURPOSE_BIDDING, Purpose.PURPOSE_UNSPECIFIED],
        regions=["1"],
        daily_record_quota=-1,
    )
    with pytest.raises(Refused) as refusal:
        await world.service.issue_licence(pb.IssueLicenceRequest(licence=asked), CALLER)
    assert fields_of(refusal) == [
        "reason",
        "licence.number",
        "licence.operator_id",
        "licence.validity.start_time",
        "licence.validity.end_time",
        "licence.items[1]",
        "licence.purposes[1]",
        "licence.regions[0]",
        "licence.daily_record_quota",
    ]


async def test_fault_of_a_licence_as_a_whole_names_the_part_to_mend(world: World) -> None:
    await world.create()
    backwards = licence()
    backwards.validity.CopyFrom(period(NOW + 2, NOW + 2))
    uneven = licence()
    uneven.validity.end_time.CopyFrom(Timestamp(seconds=NOW + DAY, nanos=1))
    far = licence(end=253_402_300_800)
    for asked, fields in (
        (backwards, ["licence.validity"]),
        (uneven, ["licence.validity.end_time"]),
        (far, ["licence.validity.end_time"]),
        (licence(items=()), ["licence.items"]),
        (licence(purposes=()), ["licence.purposes"]),
        (licence(regions=()), ["licence.regions"]),
        (licence(items=(f"i{n}" for n in range(1_001))), ["licence.items"]),
    ):
        with pytest.raises(Refused) as refusal:
            request = pb.IssueLicenceRequest(licence=asked, reason=REASON)
            await world.service.issue_licence(request, CALLER)
        assert fields_of(refusal) == fields
        assert "frozenset" not in refusal.value.message


async def test_licence_ends_at_once_and_once(world: World) -> None:
    await world.create()
    await world.issue()
    world.clock.at = NOW + DAY
    ended = await world.end_licence()
    assert (ended.revoke_time.seconds, ended.etag) == (NOW + DAY, "2")
    assert not world.authority.licences["L-1"].in_force(NOW + DAY)
    with pytest.raises(Refused, match="already") as refusal:
        await world.end_licence()
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await world.end_licence("L-2")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    with pytest.raises(Refused) as refusal:
        await world.service.revoke_licence(pb.RevokeLicenceRequest(number="L-1"), CALLER)
    assert fields_of(refusal) == ["reason"]


async def test_licences_of_nobody_are_not_found(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await _list(world, "beta")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    await world.create("beta")
    assert await _list(world, "beta") == []


async def test_listing_too_large_for_one_message_is_refused(world: World) -> None:
    await world.create()
    keep_large_licences(world.log, 40)
    await world.feed.refresh()
    assert len(await _list(world)) == 40
    keep_large_licences(world.log, 70, start=40)
    await world.feed.refresh()
    with pytest.raises(Refused) as refusal:
        await _list(world)
    assert reason_of(refusal) == "ANSWER_TOO_LARGE"
