"""Two processes on one store: of changes that exclude each other, one wins (G4)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from creditgate.refusal import Refused, reason_name
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import OperatorState
from operators.sql import SqlAuthorityLog
from tests.administration.world import CALLER, CHIEF, REASON, World, client, grant, thumbprint

ROUNDS = 8


@pytest.fixture
async def pair(log: SqlAuthorityLog) -> AsyncIterator[tuple[World, World]]:
    """The services of two processes."""
    async with World(log) as first, World(log) as second:
        yield first, second


async def _outcomes(*calls: Coroutine[Any, Any, object]) -> Counter[str]:
    """Make calls at once and count what came of them: "" or the reason of a refusal."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, Refused):
            raise answer
    return Counter(
        reason_name(answer.reason) if isinstance(answer, Refused) else "" for answer in answers
    )


async def _rename(world: World, operator: pb.Operator, name: str) -> None:
    changed = pb.Operator()
    changed.CopyFrom(operator)
    changed.display_name = name
    request = pb.UpdateOperatorRequest(operator=changed, reason=REASON)
    await world.service.update_operator(request, CALLER)


async def test_one_of_two_registers_an_operator(pair: tuple[World, World]) -> None:
    for number in range(ROUNDS):
        outcomes = await _outcomes(*(world.create(f"op-{number}") for world in pair))
        assert outcomes == {"": 1, "RESOURCE_EXISTS": 1}


async def test_one_of_two_issues_a_licence_of_one_number(pair: tuple[World, World]) -> None:
    await pair[0].create()
    for number in range(ROUNDS):
        outcomes = await _outcomes(*(world.issue(f"L-{number}") for world in pair))
        assert outcomes == {"": 1, "RESOURCE_EXISTS": 1}


async def test_one_of_two_changes_a_version_that_both_read(pair: tuple[World, World]) -> None:
    for number in range(ROUNDS):
        operator = await pair[0].create(f"op-{number}")
        calls = (_rename(world, operator, f"Name {index}") for index, world in enumerate(pair))
        assert await _outcomes(*calls) == {"": 1, "ETAG_MISMATCH": 1}
        assert len(pair[0].history("operator", operator.operator_id)) == 2


async def test_one_of_two_revokes_and_revoked_it_stays(pair: tuple[World, World]) -> None:
    for number in range(ROUNDS):
        operator_id = f"op-{number}"
        await pair[0].create(operator_id)
        await pair[0].suspend(operator_id)
        outcomes = await _outcomes(
            pair[0].revoke(operator_id),
            pair[1].revoke(operator_id),
            pair[0].reinstate(operator_id),
            pair[1].reinstate(operator_id),
        )
        assert outcomes.keys() <= {"", "STATE_CONFLICT"}
        states = [change.document["state"] for change in pair[0].history("operator", operator_id)]
        assert states.count(OperatorState.OPERATOR_STATE_REVOKED) == 1
        assert states[-1] == OperatorState.OPERATOR_STATE_REVOKED


async def test_one_of_two_clients_gets_a_certificate(pair: tuple[World, World]) -> None:
    for number in range(ROUNDS):
        requests = [
            pb.RegisterClientRequest(
                client=client(f"feeder-{number}-{index}", "PUBLISHER"), reason=REASON
            )
            for index in range(2)
        ]
        for request in requests:
            request.client.certificate_thumbprints[:] = [thumbprint(f"shared-{number}")]
        calls = (
            world.service.register_client(request, CALLER)
            for world, request in zip(pair, requests, strict=True)
        )
        assert await _outcomes(*calls) == {"": 1, "INVALID_REQUEST": 1}


async def test_operator_and_client_with_scopes_of_its_own_never_take_one_id(
    pair: tuple[World, World],
) -> None:
    for number in range(ROUNDS):
        name = f"name-{number}"
        outcomes = await _outcomes(pair[0].create(name), pair[1].register(name, "PUBLISHER"))
        assert outcomes == {"": 1, "RESOURCE_EXISTS": 1}


async def test_revoked_operator_is_given_nothing_by_another_process(
    pair: tuple[World, World],
) -> None:
    for number in range(ROUNDS):
        operator_id = f"op-{number}"
        await pair[0].create(operator_id)
        await _outcomes(
            pair[0].revoke(operator_id),
            pair[1].issue(f"L-{number}", operator_id=operator_id),
        )
        changes = {
            change.kind: change.sequence
            for change in pair[0].history()
            if change.id in {operator_id, f"L-{number}"}
        }
        assert changes.get("licence", 0) < changes["operator"]


async def test_changes_that_do_not_exclude_each_other_both_happen(
    pair: tuple[World, World],
) -> None:
    for number in range(ROUNDS):
        ids = [f"op-{number}-{index}" for index in range(4)]
        calls = (pair[index % 2].create(operator_id) for index, operator_id in enumerate(ids))
        assert await _outcomes(*calls) == {"": 4}


async def test_two_administrators_never_end_each_other(pair: tuple[World, World]) -> None:
    first, second = pair
    standing = CHIEF
    for number in range(ROUNDS):
        deputy = f"deputy-{number}"
        await first.administrator(deputy)
        outcomes = await _outcomes(first.remove(standing), second.remove(deputy))
        assert outcomes[""] == 1
        assert outcomes.keys() <= {"", "STATE_CONFLICT"}
        await first.feed.refresh()
        if first.authority.clients[deputy].removed_at is None:
            standing = deputy


async def test_two_administrators_never_end_each_others_grants(
    pair: tuple[World, World],
) -> None:
    first, second = pair
    standing = CHIEF
    for number in range(ROUNDS):
        deputy = f"deputy-{number}"
        await first.administrator(deputy)
        outcomes = await _outcomes(
            first.withdraw(_key(first, standing)), second.withdraw(_key(first, deputy))
        )
        assert outcomes[""] == 1
        assert outcomes.keys() <= {"", "STATE_CONFLICT"}
        await first.feed.refresh()
        if _key(first, deputy):
            standing = deputy


async def test_the_only_keyholder_never_loses_both_of_two_like_grants(
    pair: tuple[World, World],
) -> None:
    for _ in range(ROUNDS):
        await pair[0].grant(grant(CHIEF, "scopes:grant"))
        like = [
            found.grant_id
            for found in pair[0].authority.grants_of[CHIEF]
            if found.scope == "scopes:grant" and found.withdrawn_at is None
        ]
        assert len(like) == 2
        calls = (world.withdraw(key) for world, key in zip(pair, like, strict=True))
        assert (await _outcomes(*calls))[""] == 1
        await pair[0].feed.refresh()


def _key(world: World, client_id: str) -> str:
    """Return the grant by which a client lets others in, "" when it was withdrawn."""
    (key,) = (
        found for found in world.authority.grants_of[client_id] if found.scope == "clients:register"
    )
    return key.grant_id if key.withdrawn_at is None else ""
