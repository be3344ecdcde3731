"""Limits are set by one person and lifted by two (双人复核)."""

from typing import Any

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import limit_service_pb2 as pb
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from gateway.administration.limits import LimitService
from operators.administrators import DANGEROUS_SCOPES
from operators.limits import MOST_IN_FORCE, MOST_REACHING
from tests.administration.office import acting, approve, furnish_office, set_policy
from tests.administration.world import CALLER, ITEMS, NOW, REASON, World, reason_of
from tests.limiting import drafted, limit


@pytest.fixture
def limits(stored_world: World) -> LimitService:
    """The service of one process; the test runs on both stores."""
    return LimitService(stored_world.log, stored_world.feed, stored_world.clock)


def asked(limit_id: str = "slow", **fields: Any) -> pb.Limit:
    """Return a limit to be created."""
    usual: dict[str, Any] = {
        "per": LimitPer.LIMIT_PER_OPERATOR,
        "unit": LimitUnit.LIMIT_UNIT_LOOKUPS,
        "count": 5,
        "period_seconds": 60,
        "burst": 10,
    }
    return pb.Limit(limit_id=limit_id, **usual | fields)


async def create(limits: LimitService, of: pb.Limit) -> pb.Limit:
    """Create a limit."""
    request = pb.CreateLimitRequest(limit=of, reason=REASON)
    return (await limits.create_limit(request, CALLER)).limit


async def listed(limits: LimitService, **fields: Any) -> list[str]:
    """List the ids of limits."""
    answer = await limits.list_limits(pb.ListLimitsRequest(**fields), CALLER)
    return [each.limit_id for each in answer.limits]


async def test_a_limit_is_created_listed_and_retired(
    limits: LimitService, stored_world: World
) -> None:
    await stored_world.create()
    made = await create(limits, asked("b-all"))
    assert (made.create_time.seconds, made.etag) == (NOW, "1")
    wanted = asked("a-item", operator_id="alpha", per=LimitPer.LIMIT_PER_ITEM, item=ITEMS[0])
    own = await create(limits, wanted)
    assert (own.operator_id, own.item, own.count) == ("alpha", ITEMS[0], 5)
    assert await listed(limits) == ["a-item", "b-all"]
    assert await listed(limits, operator_id="beta") == ["b-all"]
    reaching = stored_world.authority.limits.reaching("alpha")
    assert [each.limit_id for each in reaching] == ["a-item", "b-all"]
    request = pb.RetireLimitRequest(limit_id="b-all", reason=REASON)
    retired = (await limits.retire_limit(request, CALLER)).limit
    assert retired.retire_time.seconds == NOW
    assert await listed(limits) == ["a-item"]
    assert await listed(limits, show_retired=True) == ["a-item", "b-all"]
    with pytest.raises(Refused) as refusal:
        await limits.retire_limit(request, CALLER)
    assert reason_of(refusal) == "STATE_CONFLICT"
    with pytest.raises(Refused) as refusal:
        await create(limits, asked("b-all"))
    assert reason_of(refusal) == "RESOURCE_EXISTS"


@pytest.mark.parametrize(
    ("fields", "reason", "places"),
    [
        ({"count": 0}, "INVALID_REQUEST", ["limit.count"]),
        ({"burst": 0, "per": 0}, "INVALID_REQUEST", ["limit.per", "limit.burst"]),
        ({"limit_id": "no/no"}, "INVALID_REQUEST", ["limit.limit_id"]),
        ({"item": ITEMS[0]}, "INVALID_REQUEST", ["limit"]),
        ({"operator_id": "nobody"}, "RESOURCE_NOT_FOUND", []),
        (
            {"per": LimitPer.LIMIT_PER_CLIENT, "client_id": "nobody"},
            "RESOURCE_NOT_FOUND",
            [],
        ),
        ({"per": LimitPer.LIMIT_PER_ITEM, "item": "nothing"}, "RESOURCE_NOT_FOUND", []),
    ],
    ids=str,
)
async def test_a_limit_that_would_hold_nobody_is_refused(
    world: World, fields: dict[str, Any], reason: str, places: list[str]
) -> None:
    limits = LimitService(world.log, world.feed, world.clock)
    with pytest.raises(Refused) as refusal:
        await create(limits, asked(**{"limit_id": "slow"} | fields))
    assert reason_of(refusal) == reason
    assert [each.field for each in refusal.value.violations] == places


async def test_no_more_limits_are_in_force_than_every_answer_can_be_judged_by(
    world: World,
) -> None:
    limits = LimitService(world.log, world.feed, world.clock)
    world.log.append(
        [drafted(limit(f"l-{number:04d}")) for number in range(MOST_REACHING)],
        changed_by="office",
        changed_at=NOW,
        reason="test",
    )
    with pytest.raises(Refused) as refusal:
        await create(limits, asked())
    assert reason_of(refusal) == "STATE_CONFLICT"
    others = range(MOST_REACHING, MOST_IN_FORCE)
    world.log.append(
        [
            *(drafted(limit("l-0000", retired_at=2), 1),),
            *(drafted(limit(f"l-{n:04d}", operator_id=f"firm-{n}")) for n in others),
        ],
        changed_by="office",
        changed_at=NOW,
        reason="test",
    )
    await world.create()
    await create(limits, asked(operator_id="alpha"))
    with pytest.raises(Refused) as refusal:
        await create(limits, asked("another", operator_id="alpha"))
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_guarded_a_limit_is_set_by_one_person_and_lifted_by_two(
    limits: LimitService, stored_world: World
) -> None:
    furnish_office(stored_world.log)
    await set_policy(stored_world, guarded=True)
    request = pb.CreateLimitRequest(limit=asked(), reason=REASON)
    await limits.create_limit(request, acting("ann"))
    retire = pb.RetireLimitRequest(limit_id="slow", reason=REASON)
    proposed = await limits.retire_limit(retire, acting("ann"))
    assert not proposed.HasField("limit")
    assert stored_world.authority.limits.reaching("alpha")
    await approve(stored_world, proposed.proposal_id, acting("bob"))
    assert not stored_world.authority.limits.reaching("alpha")


def test_only_lifting_takes_a_step_up() -> None:
    assert "limits:retire" in DANGEROUS_SCOPES
    assert "limits:create" not in DANGEROUS_SCOPES
