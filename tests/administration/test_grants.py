"""Grants: to parties that exist, of scopes of their role, within a licence, all or none."""

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from tests.administration.world import (
    CALLER,
    CHIEF,
    DAY,
    NOW,
    REASON,
    World,
    fields_of,
    grant,
    reason_of,
)

BIDDING = Purpose.PURPOSE_BIDDING
RESEARCH = Purpose.PURPOSE_RESEARCH


async def _list(world: World, grantee: str = "alpha") -> list[pb.ScopeGrant]:
    request = pb.ListScopeGrantsRequest(grantee=grantee)
    return list((await world.service.list_scope_grants(request, CALLER)).grants)


@pytest.fixture
async def licensed(world: World) -> World:
    """Operator alpha with a licence in force."""
    await world.create()
    await world.issue()
    return world


async def test_grants_are_kept_as_asked_in_that_order_under_ids_of_the_gateway(
    licensed: World,
) -> None:
    asked = [
        grant(items=["tax", "penalty"], purposes=[BIDDING], regions=["110105", "3201"]),
        grant(scope="usage:read", start=None, until=NOW + DAY),
    ]
    asked[0].grant_id = "mine"
    asked[0].withdraw_time.seconds = 1
    request = pb.GrantScopesRequest(grants=asked, reason=REASON)
    made = (await licensed.service.grant_scopes(request, CALLER)).grants
    ids = [found.grant_id for found in made]
    assert len({*ids, "mine"}) == 3
    asked[0].ClearField("withdraw_time")
    asked[0].items.sort()
    for wanted, grant_id in zip(asked, ids, strict=True):
        wanted.grant_id = grant_id
    assert list(made) == asked
    assert await _list(licensed) == sorted(asked, key=lambda found: found.grant_id)
    assert all(licensed.authority.grants[grant_id].in_force(NOW) for grant_id in ids)


async def test_grant_lies_within_a_licence(licensed: World) -> None:
    await licensed.grant(
        grant(),
        grant(items=["penalty"], purposes=[BIDDING], regions=["11", "110105", "3201", "320102"]),
    )
    for beyond, fields in (
        (grant(items=["penalty", "unheard"]), ["grants[0].items"]),
        (grant(purposes=[BIDDING, RESEARCH]), ["grants[0].purposes"]),
        (grant(regions=["32"]), ["grants[0].regions"]),
        (grant(regions=["*"]), ["grants[0].regions"]),
        (
            grant(regions=["11", "44"], purposes=[RESEARCH]),
            [
                "grants[0].purposes",
                "grants[0].regions",
            ],
        ),
    ):
        with pytest.raises(Refused) as refusal:
            await licensed.grant(beyond)
        assert fields_of(refusal) == fields
        assert "unheard" not in refusal.value.message


async def test_licences_never_add_up_for_a_grant(world: World) -> None:
    await world.create()
    await world.issue("L-1", items=["penalty"], regions=["11"])
    await world.issue("L-2", items=["tax"], regions=["44"])
    await world.grant(grant(items=["penalty"], regions=["11"]), grant(items=["tax"]))
    with pytest.raises(Refused, match="one grant for each") as refusal:
        await world.grant(grant(items=["penalty"], regions=["44"]))
    assert fields_of(refusal) == ["grants[0]"]


async def test_grant_rests_on_a_licence_in_force_or_to_come(world: World) -> None:
    await world.create()
    with pytest.raises(Refused, match="no licence") as refusal:
        await world.grant(grant())
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.issue("L-1", start=NOW, end=NOW + DAY)
    await world.grant(grant())
    world.clock.at = NOW + DAY
    with pytest.raises(Refused) as refusal:
        await world.grant(grant())
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.issue("L-2", start=NOW + 5 * DAY, end=NOW + 9 * DAY)
    await world.grant(grant())
    with pytest.raises(Refused) as refusal:
        await world.grant(grant(until=NOW + 5 * DAY))
    assert fields_of(refusal) == ["grants[0].validity"]
    with pytest.raises(Refused) as refusal:
        await world.grant(grant(start=NOW + 9 * DAY))
    assert fields_of(refusal) == ["grants[0].validity"]
    await world.grant(grant(until=NOW + 5 * DAY + 1), grant(start=NOW + 9 * DAY - 1))
    await world.end_licence("L-2")
    with pytest.raises(Refused) as refusal:
        await world.grant(grant())
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_suspended_operator_may_be_granted_scopes_and_a_revoked_one_not(
    licensed: World,
) -> None:
    await licensed.suspend()
    await licensed.grant(grant())
    await licensed.revoke()
    with pytest.raises(Refused) as refusal:
        await licensed.grant(grant())
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_scope_is_one_of_the_grantees_role(licensed: World) -> None:
    await licensed.register("feeder", "PUBLISHER")
    await licensed.grant(grant("feeder", "disclosure:publish"), grant(CHIEF, "usage:read"))
    for grantee, scope in (
        ("alpha", "operators:read"),
        ("alpha", "disclosure:publish"),
        ("alpha", "federation.records:query"),
        ("alpha", "no.such:scope"),
        ("feeder", "credit.records:read"),
        (CHIEF, "credit.records:read"),
    ):
        with pytest.raises(Refused) as refusal:
            await licensed.grant(grant(grantee, scope))
        assert fields_of(refusal) == ["grants[0].scope"]


async def test_only_grants_to_operators_are_narrowed(licensed: World) -> None:
    with pytest.raises(Refused) as refusal:
        await licensed.grant(
            grant(CHIEF, "usage:read", items=["tax"], purposes=[BIDDING], regions=["11"])
        )
    assert fields_of(refusal) == ["grants[0].items", "grants[0].purposes", "grants[0].regions"]


async def test_grantee_is_an_operator_or_a_client_of_another_role(licensed: World) -> None:
    await licensed.register("alpha-one", "OPERATOR", "alpha")
    for grantee in ("alpha-one", "nobody"):
        with pytest.raises(Refused) as refusal:
            await licensed.grant(grant(grantee))
        assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
        with pytest.raises(Refused) as refusal:
            await _list(licensed, grantee)
        assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    assert await _list(licensed) == []


async def test_grants_are_made_all_or_none(licensed: World) -> None:
    before = licensed.log.head()
    with pytest.raises(Refused) as refusal:
        await licensed.grant(grant(), grant(scope="operators:read"), grant(items=["unheard"]))
    assert fields_of(refusal) == ["grants[1].scope", "grants[2].items"]
    assert licensed.log.head() == before


async def test_every_fault_of_a_grant_is_named_by_its_field(licensed: World) -> None:
    bad = pb.ScopeGrant(
        grantee="A", scope="read", items=["No Item"], purposes=[Purpose.PURPOSE_UNSPECIFIED]
    )
    bad.validity.start_time.nanos = 5
    backwards = grant(start=NOW + 1, until=NOW + 1)
    request = pb.GrantScopesRequest(grants=[grant(), bad, backwards])
    with pytest.raises(Refused) as refusal:
        await licensed.service.grant_scopes(request, CALLER)
    assert fields_of(refusal) == [
        "reason",
        "grants[1].validity.start_time",
        "grants[1].grantee",
        "grants[1].scope",
        "grants[1].items[0]",
        "grants[1].purposes[0]",
        "grants[2].validity",
    ]
    with pytest.raises(Refused) as refusal:
        await licensed.grant(grant(start=NOW - DAY, until=NOW))
    assert fields_of(refusal) == ["grants[0].validity.end_time"]


async def test_from_1_to_64_grants_are_made_or_withdrawn_at_once(licensed: World) -> None:
    ids = await licensed.grant(*(grant() for _ in range(64)))
    for count in (0, 65):
        with pytest.raises(Refused) as refusal:
            await licensed.grant(*(grant() for _ in range(count)))
        assert fields_of(refusal) == ["grants"]
        with pytest.raises(Refused) as refusal:
            await licensed.withdraw(*(f"g-{number}" for number in range(count)))
        assert fields_of(refusal) == ["grant_ids"]
    withdrawn = await licensed.withdraw(*reversed(ids))
    assert [found.grant_id for found in withdrawn] == ids[::-1]


async def test_grants_are_withdrawn_at_once_and_stay_in_the_listing(licensed: World) -> None:
    first, second = await licensed.grant(grant(), grant(scope="usage:read"))
    licensed.clock.at = NOW + DAY
    (withdrawn,) = await licensed.withdraw(first)
    assert withdrawn.withdraw_time.seconds == NOW + DAY
    grants = licensed.authority.grants
    assert not grants[first].in_force(NOW + DAY)
    assert grants[second].in_force(NOW + DAY)
    assert {found.grant_id for found in await _list(licensed)} == {first, second}


async def test_grants_are_withdrawn_all_or_none(licensed: World) -> None:
    first, second = await licensed.grant(grant(), grant(scope="usage:read"))
    await licensed.withdraw(second)
    before = licensed.log.head()
    with pytest.raises(Refused, match=r"grant_ids\[1\].*already") as refusal:
        await licensed.withdraw(first, second)
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused, match=r"grant_ids\[1\]") as refusal:
        await licensed.withdraw(first, "unknown")
    assert reason_of(refusal) == "RESOURCE_NOT_FOUND"
    with pytest.raises(Refused) as refusal:
        await licensed.withdraw(first, first)
    assert fields_of(refusal) == ["grant_ids[1]"]
    with pytest.raises(Refused) as refusal:
        await licensed.service.withdraw_scopes(
            pb.WithdrawScopesRequest(grant_ids=[first], reason="\t"), CALLER
        )
    assert fields_of(refusal) == ["reason"]
    assert licensed.log.head() == before
