"""Calls on behalf of a person: their roles and their sign-in are judged at each one (G4)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from creditgate.v1 import administrator_service_pb2_grpc as administrators_grpc
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import operator_service_pb2_grpc as operators_grpc
from creditgate.v1.administrator_service_pb2 import (
    AdministratorRole,
    ListAdministratorsRequest,
    SetAdministratorRolesRequest,
)
from operators.administration_policy import (
    ADMINISTRATION_POLICY,
    POLICY_ID,
    AdministrationPolicy,
)
from operators.administrators import STRONG_ACR
from sdk.refusals import explain
from tests.examples import rarely_on_postgresql
from tests.installation import OPERATOR_ID, company, eventually
from tests.interaction.world import PERSON, World
from tests.people import AUDIT, LICENSING, SECURITY, person_token

pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]
REASON = "a test"


@asynccontextmanager
async def channel(world: World) -> AsyncGenerator[grpc.aio.Channel]:
    """Give a channel that shows the console's certificate and sends no token of its own."""
    party, gateway = world.party, world.gateway
    credentials = grpc.ssl_channel_credentials(
        world.installation.home.ca.read_bytes(),
        (party.folder / "key.pem").read_bytes(),
        (party.folder / "certificate.pem").read_bytes(),
    )
    async with grpc.aio.secure_channel(gateway.running.grpc, credentials) as opened:
        yield opened


def bearer(token: dict[str, Any]) -> Sequence[tuple[str, str]]:
    """Return the metadata of a call with a token."""
    return (("authorization", f"Bearer {token['access_token']}"),)


async def reason_of(call: Any) -> str:
    """Return why a call is refused, "" where it is served."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return explain(error).reason
    return ""


async def guard(world: World) -> None:
    """Put the guarded policy into force, with two people in the role security."""
    await world.administer("zhou-an", [SECURITY])
    await world.administer("wu-ping", [SECURITY])
    policy = AdministrationPolicy(guarded=True)
    world.installation.keep(ADMINISTRATION_POLICY, POLICY_ID, policy)
    await world.caught_up()


async def test_the_history_names_the_person_who_changed_something(stored_world: World) -> None:
    world = stored_world
    token = await person_token(world.gateway, world.party, PERSON, "operators:create")
    async with channel(world) as opened:
        stub = operators_grpc.OperatorServiceStub(opened)
        created = pb.CreateOperatorRequest(
            operator=pb.Operator(operator_id="beta", display_name="Beta", uscc=company(7)),
            reason=REASON,
        )
        await stub.CreateOperator(created, metadata=bearer(token))
    (change,) = world.installation.log.history(kind="operator", id="beta", after=0, limit=9)
    assert change.changed_by == f"administrator:{PERSON}"


async def test_a_removed_administrator_is_stopped_within_a_second(stored_world: World) -> None:
    world = stored_world
    token = await person_token(world.gateway, world.party, PERSON, "operators:read")
    async with channel(world) as opened:
        stub = operators_grpc.OperatorServiceStub(opened)

        async def reason() -> str:
            request = pb.ListOperatorsRequest()
            return await reason_of(stub.ListOperators(request, metadata=bearer(token)))

        async def stopped() -> bool:
            return await reason() == "ADMINISTRATOR_NOT_ACTIVE"

        assert await reason() == ""
        await world.administer(removed_at=world.installation.clock.now())
        assert await eventually(stopped) < 1.0
        # Whatever they ask: so a stream ends, which is not asked for its scope again.
        beyond = pb.SuspendOperatorRequest(operator_id=OPERATOR_ID, reason=REASON)
        refused = await reason_of(stub.SuspendOperator(beyond, metadata=bearer(token)))
        assert refused == "ADMINISTRATOR_NOT_ACTIVE"


async def test_roles_that_are_taken_stop_the_next_call_whatever_the_token_says(
    own_world: World,
) -> None:
    world = own_world
    token = await person_token(world.gateway, world.party, PERSON, "operators:suspend")
    async with channel(world) as opened:
        stub = operators_grpc.OperatorServiceStub(opened)
        request = pb.SuspendOperatorRequest(operator_id=OPERATOR_ID, reason=REASON)
        await world.administer(roles=[AUDIT])
        refused = await reason_of(stub.SuspendOperator(request, metadata=bearer(token)))
        assert refused == "SCOPE_NOT_GRANTED"
        await world.administer(roles=[LICENSING])
        assert await reason_of(stub.SuspendOperator(request, metadata=bearer(token))) == ""


async def test_a_token_carries_no_more_than_was_approved(world: World) -> None:
    token = await person_token(world.gateway, world.party, PERSON, "operators:read")
    async with channel(world) as opened:
        stub = operators_grpc.OperatorServiceStub(opened)
        request = pb.SuspendOperatorRequest(operator_id=OPERATOR_ID, reason=REASON)
        refused = await reason_of(stub.SuspendOperator(request, metadata=bearer(token)))
        assert refused == "SCOPE_NOT_GRANTED"


async def test_under_a_guarded_policy_dangerous_methods_ask_for_a_step_up(own_world: World) -> None:
    world = own_world
    await guard(world)
    scope = "administrators:assign administrators:read"
    weak = await person_token(world.gateway, world.party, "zhou-an", scope)
    strong = await person_token(world.gateway, world.party, "zhou-an", scope, strong=True)
    async with channel(world) as opened:
        stub = administrators_grpc.AdministratorServiceStub(opened)
        request = SetAdministratorRolesRequest(
            administrator_id="zhou-an",
            roles=[AdministratorRole.ADMINISTRATOR_ROLE_SECURITY],
            etag="1",
            reason=REASON,
        )
        listing = ListAdministratorsRequest()
        assert await reason_of(stub.ListAdministrators(listing, metadata=bearer(weak))) == ""
        try:
            await stub.SetAdministratorRoles(request, metadata=bearer(weak))
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
            refusal = explain(error)
        else:
            raise AssertionError("it was served")
        assert refusal.reason == "STEP_UP_REQUIRED"
        assert refusal.metadata["acr_values"] == STRONG_ACR
        assert refusal.metadata["max_age"] == "300"
        assert await reason_of(stub.SetAdministratorRoles(request, metadata=bearer(strong))) == ""


async def test_under_a_guarded_policy_no_machine_takes_dangerous_actions(own_world: World) -> None:
    world = own_world
    await guard(world)
    async with world.gateway.channel("administrator") as opened:
        stub = operators_grpc.OperatorServiceStub(opened)
        revoke = pb.RevokeOperatorRequest(operator_id=OPERATOR_ID, reason=REASON)
        suspend = pb.SuspendOperatorRequest(operator_id=OPERATOR_ID, reason=REASON)
        assert await reason_of(stub.RevokeOperator(revoke)) == "STEP_UP_REQUIRED"
        assert await reason_of(stub.SuspendOperator(suspend)) == ""
