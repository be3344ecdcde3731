"""Grants narrowed: to less of what they cover, never to more (G4)."""

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import scope_service_pb2 as scopes_pb
from creditgate.v1.vocabulary_pb2 import Purpose
from tests.administration.office import (
    BIDDING,
    CHECK,
    acting,
    furnish_office,
    grants,
    machine,
    narrow,
    set_policy,
)
from tests.administration.world import (
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    fields_of,
    grant,
    reason_of,
)


@pytest.fixture
async def office(world: World) -> World:
    """People, and operator alpha with a licence."""
    furnish_office(world.log)
    await world.feed.refresh()
    await world.create()
    await world.issue()
    return world


async def _granted(world: World, **fields: object) -> str:
    made = await grants(world, grant(**fields))  # type: ignore[arg-type]
    return made.grants[0].grant_id


async def test_a_narrowed_grant_covers_what_it_was_left_and_its_rest_stays(office: World) -> None:
    grant_id = await _granted(office, items=["penalty", "tax"], until=NOW + 9 * DAY)
    await narrow(office, grant_id, items=["tax"])
    await narrow(office, grant_id, purposes=[BIDDING], regions=["1101", "3201"])
    narrowed = await narrow(office, grant_id, regions=["110105"], until=NOW + DAY)
    wanted = grant(items=["tax"], purposes=[BIDDING], regions=["110105"], until=NOW + DAY)
    wanted.grant_id = grant_id
    assert narrowed == wanted
    held = office.authority.grants[grant_id]
    assert held.in_force(NOW + DAY - 1)
    assert not held.in_force(NOW + DAY)
    changes = office.history("scope_grant", grant_id)
    assert [each.version for each in changes] == [1, 2, 3, 4]
    assert {each.changed_by for each in changes} == {"administrator:ann"}


async def test_a_grant_is_never_made_wider(office: World) -> None:
    grant_id = await _granted(
        office, items=["penalty"], purposes=[BIDDING], regions=["1101"], until=NOW + 2 * DAY
    )
    before = office.log.head()
    for wider, fields in (
        ({"items": ["penalty", "tax"]}, ["items"]),
        ({"purposes": [BIDDING, CHECK]}, ["purposes"]),
        ({"regions": ["11"]}, ["regions"]),
        ({"regions": ["*"]}, ["regions"]),
        ({"until": NOW + 2 * DAY + 1}, ["end_time"]),
        ({"until": NOW}, ["end_time"]),
        ({"items": ["tax"], "until": NOW + 3 * DAY}, ["items", "end_time"]),
        ({"items": ["No Item"]}, ["items[0]"]),
        ({"purposes": [Purpose.PURPOSE_UNSPECIFIED]}, ["purposes[0]"]),
    ):
        with pytest.raises(Refused) as refusal:
            await narrow(office, grant_id, **wider)  # type: ignore[arg-type]
        assert fields_of(refusal) == fields
    office.clock.at = NOW + DAY
    with pytest.raises(Refused, match="WithdrawScopes") as refusal:
        await narrow(office, grant_id, until=NOW + DAY)
    assert fields_of(refusal) == ["end_time"]
    assert office.log.head() == before


async def test_narrowing_says_what_it_leaves_and_why(office: World) -> None:
    grant_id = await _granted(office, items=["penalty"])
    for same in ({}, {"items": ["penalty"]}):
        with pytest.raises(Refused, match="so narrow already") as refusal:
            await narrow(office, grant_id, **same)  # type: ignore[arg-type]
        assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await narrow(office, "unknown", items=["penalty"])
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    request = scopes_pb.NarrowScopeGrantRequest(grant_id=grant_id, reason=" ")
    with pytest.raises(Refused) as refusal:
        await office.scopes.narrow_scope_grant(request, acting("ann"))
    assert fields_of(refusal) == ["reason"]
    request.reason = REASON
    request.end_time.seconds, request.end_time.nanos = NOW + DAY, 1
    with pytest.raises(Refused) as refusal:
        await office.scopes.narrow_scope_grant(request, acting("ann"))
    assert fields_of(refusal) == ["end_time"]
    await office.withdraw(grant_id)
    with pytest.raises(Refused, match="already") as refusal:
        await narrow(office, grant_id, purposes=[BIDDING])
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_only_grants_to_operators_are_narrowed_by_items(office: World) -> None:
    (made,) = (await grants(office, grant(CHIEF, "usage:read"))).grants
    with pytest.raises(Refused) as refusal:
        await narrow(office, made.grant_id, items=["tax"], purposes=[BIDDING], regions=["11"])
    assert fields_of(refusal) == ["items", "purposes", "regions"]
    narrowed = await narrow(office, made.grant_id, until=NOW + DAY)
    assert narrowed.validity.end_time.seconds == NOW + DAY


async def test_keys_of_the_last_keyholder_are_given_no_end(world: World) -> None:
    (key,) = [
        found.grant_id
        for found in world.authority.grants_of[CHIEF]
        if found.scope == "scopes:grant"
    ]
    with pytest.raises(Refused, match="Nobody could administer") as refusal:
        await narrow(world, key, until=NOW + DAY, caller=machine(CHIEF))
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_narrowing_takes_one_person_under_a_guarded_policy(office: World) -> None:
    grant_id = await _granted(office, items=["penalty", "tax"])
    await set_policy(office, guarded=True)
    await narrow(office, grant_id, items=["tax"], caller=acting("cat"))
    assert office.authority.grants[grant_id].items == {"tax"}
