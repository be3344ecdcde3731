"""Somebody can always be let in: the last administrator that can do so never goes."""

import pytest

from creditgate.refusal import Refused
from tests.administration.world import CHIEF, DAY, NOW, World, grant, reason_of


def _held(world: World, client_id: str, scope: str) -> list[str]:
    return [
        found.grant_id
        for found in world.authority.grants_of[client_id]
        if found.scope == scope and found.withdrawn_at is None
    ]


async def test_last_administrator_is_not_removed(world: World) -> None:
    await world.register("clerk", "ADMINISTRATOR")
    await world.grant(grant("clerk", "scopes:grant"))
    with pytest.raises(Refused, match="clients:register") as refusal:
        await world.remove(CHIEF)
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.grant(grant("clerk", "clients:register"))
    await world.remove(CHIEF)
    with pytest.raises(Refused) as refusal:
        await world.remove("clerk")
    assert reason_of(refusal) == "STATE_CONFLICT"


@pytest.mark.parametrize("scope", ["scopes:grant", "clients:register"])
async def test_last_administrator_keeps_the_scopes_that_let_others_in(
    world: World, scope: str
) -> None:
    (only,) = _held(world, CHIEF, scope)
    (other,) = _held(world, CHIEF, "usage:read")
    with pytest.raises(Refused) as refusal:
        await world.withdraw(other, only)
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.withdraw(other)
    await world.grant(grant(CHIEF, scope))
    await world.withdraw(only)
    assert len(_held(world, CHIEF, scope)) == 1


async def test_grants_of_two_administrators_do_not_make_one(world: World) -> None:
    for client_id, scope in (("first", "scopes:grant"), ("second", "clients:register")):
        await world.register(client_id, "ADMINISTRATOR")
        await world.grant(grant(client_id, scope))
    with pytest.raises(Refused) as refusal:
        await world.remove(CHIEF)
    assert reason_of(refusal) == "STATE_CONFLICT"


async def test_both_last_administrators_do_not_lose_their_grants_in_one_request(
    world: World,
) -> None:
    await world.administrator("deputy")
    both = _held(world, CHIEF, "scopes:grant") + _held(world, "deputy", "clients:register")
    with pytest.raises(Refused) as refusal:
        await world.withdraw(*both)
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.withdraw(both[0])


async def test_administrator_for_a_time_does_not_replace_one_without_end(world: World) -> None:
    await world.administrator("deputy", until=NOW + DAY)
    with pytest.raises(Refused, match="without an end") as refusal:
        await world.remove(CHIEF)
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.administrator("later")
    await world.remove(CHIEF)
    await world.remove("deputy")


async def test_administrator_to_come_does_not_replace_one_in_force(world: World) -> None:
    await world.register("later", "ADMINISTRATOR")
    for scope in ("scopes:grant", "clients:register"):
        await world.grant(grant("later", scope, start=NOW + DAY))
    with pytest.raises(Refused) as refusal:
        await world.remove(CHIEF)
    assert reason_of(refusal) == "STATE_CONFLICT"
    await world.administrator("deputy", until=NOW + 2 * DAY)
    with pytest.raises(Refused, match="without an end") as refusal:
        await world.remove(CHIEF)
    assert reason_of(refusal) == "STATE_CONFLICT"
    world.clock.at = NOW + DAY
    await world.remove(CHIEF)


async def test_other_clients_are_removed_freely(world: World) -> None:
    await world.register("feeder", "PUBLISHER")
    await world.register("clerk", "ADMINISTRATOR")
    before = world.log.head()
    await world.remove("feeder")
    await world.remove("clerk")
    assert world.log.head() == before + 2
