"""Refresh tokens: what they give, what ends them, and what happens after an incident."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from creditgate.v1.administrator_service_pb2 import AdministratorRole
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.token import TokenVerifier
from gateway.oauth.grants import REMEMBERED_SECONDS, SqlOAuthGrants
from gateway.oauth.refresh_tokens import RETRY_SECONDS
from gateway.oauth.tables import CODE, GRANT, REFRESH_TOKEN
from operators.administrators import ADMINISTRATOR, Administrator
from operators.authorization_details import TYPE
from operators.openings import openings
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.oauth.code_flow import ACR, PERSON, CodeFlow, answer_in, error_of, flowing, revoked
from tests.oauth.licensed import license_operator
from tests.oauth.proofs import new_key
from tests.oauth.test_code_flow import claims_in
from tests.oauth.tokens import MANAGED, define
from tests.oauth.world import (
    AUDIENCE,
    BROWSE,
    CLIENT,
    GRANT_SECONDS,
    OPERATOR,
    READ,
    World,
    on_both_stores,
)

pytestmark = rarely_on_postgresql


@on_both_stores
async def test_token_stays_the_same_and_is_good_until_its_grant_ends(world: World) -> None:
    async with flowing(world) as flow:
        tokens = await flow.tokens()
        begun = world.clock.now()
        for moment in (begun, begun + 1, begun + GRANT_SECONDS - 10):
            world.clock.seconds = moment
            refreshed = await flow.refresh(tokens["refresh_token"])
            assert refreshed.status_code == 200, refreshed.text
            assert "refresh_token" not in refreshed.json()
            claims = claims_in(refreshed.json()["access_token"])
            assert (claims["sub"], claims["acr"]) == (PERSON, ACR)
            assert claims["auth_time"] == begun - 5
            assert claims["grant_id"] == tokens["grant_id"]
        assert claims["exp"] == begun + GRANT_SECONDS, "no token outlasts its grant"
        assert refreshed.json()["expires_in"] == 10
        world.clock.seconds = begun + GRANT_SECONDS
        assert error_of(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


@on_both_stores
async def test_refresh_narrows_for_one_token_and_never_widens(world: World) -> None:
    async with flowing(world) as flow:
        both = (await flow.tokens(scope=f"{READ} {BROWSE}"))["refresh_token"]
        one = (await flow.tokens(scope=READ))["refresh_token"]
        assert (await flow.refresh(both, scope=READ)).json()["scope"] == READ
        assert (await flow.refresh(both)).json()["scope"] == f"{BROWSE} {READ}"
        for wider in (f"{READ} {BROWSE}", BROWSE, "no:such"):
            assert error_of(await flow.refresh(one, scope=wider)) == (400, "invalid_scope")
        assert (await flow.refresh(one, scope=" ")).json()["scope"] == READ


@pytest.mark.parametrize("name", ["resource", "audience"])
async def test_codes_and_refresh_tokens_give_tokens_for_the_one_audience_alone(
    world: World, name: str
) -> None:
    async with flowing(world) as flow:
        code = await flow.code()
        other = {name: "https://other.test"}
        assert error_of(await flow.redeem(code, **other)) == (400, "invalid_target")
        # Refused before the code is used up.
        redeemed = await flow.redeem(code, **{name: AUDIENCE})
        assert claims_in(redeemed.json()["access_token"])["aud"] == AUDIENCE
        token = redeemed.json()["refresh_token"]
        assert error_of(await flow.refresh(token, **other)) == (400, "invalid_target")
        refreshed = await flow.refresh(token, **{name: AUDIENCE})
        assert claims_in(refreshed.json()["access_token"])["aud"] == AUDIENCE


async def test_refresh_narrows_details_and_never_widens_them(world: World) -> None:
    license_operator(world)
    held = [{"type": TYPE, "items": ["penalty", "rating"]}]
    narrow = [{"type": TYPE, "items": ["penalty"]}]
    async with flowing(world) as flow:
        tokens = await flow.tokens(authorization_details=json.dumps(held))
        assert claims_in(tokens["access_token"])["authorization_details"] == held
        token = tokens["refresh_token"]
        narrowed = await flow.refresh(token, authorization_details=json.dumps(narrow))
        assert narrowed.json()["authorization_details"] == narrow
        less = await flow.refresh(
            narrowed.json().get("refresh_token", token),
            authorization_details=json.dumps([{"type": TYPE}]),
        )
        assert error_of(less) == (400, "invalid_authorization_details")
        again = await flow.refresh(token)
        assert claims_in(again.json()["access_token"])["authorization_details"] == held


async def test_refresh_stops_with_the_next_request_once_authority_is_gone(world: World) -> None:
    now = world.clock.now()
    async with flowing(world) as flow:
        token = (await flow.tokens(scope=f"{READ} {BROWSE}"))["refresh_token"]
        world.change("scope_grant", "grant-attest", withdrawn_at=now)
        assert (await flow.refresh(token)).json()["scope"] == READ
        assert error_of(await flow.refresh(token, scope=BROWSE)) == (400, "invalid_scope")
        world.change("scope_grant", "grant-read", withdrawn_at=now)
        assert error_of(await flow.refresh(token)) == (400, "invalid_grant")
        world.change("scope_grant", "grant-read", withdrawn_at=None)
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        assert error_of(await flow.refresh(token)) == (400, "unauthorized_client")
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_ACTIVE)
        assert (await flow.refresh(token)).status_code == 200
        world.change("client", CLIENT, removed_at=now)
        assert error_of(await flow.refresh(token)) == (400, "invalid_client")


async def test_what_was_approved_opens_no_more_when_its_definition_does(world: World) -> None:
    define(world, READ)
    async with flowing(world) as flow:
        interaction_id = await flow.opened(await flow.pushed(scope=MANAGED))
        url = flow.approved(interaction_id, opened=frozenset({READ}))
        assert url is not None
        tokens = (await flow.redeem(answer_in(url)["code"])).json()
        authenticator = Authenticator(TokenVerifier(flow.issuer, AUDIENCE))

        def opened(token: str) -> set[str]:
            view, now = world.snapshot(), world.clock.now()
            pem = world.identity.certificate.certificate
            caller = authenticator.authenticate(pem, f"Bearer {token}", view, now)
            return {
                opening.grant.scope
                for scope in (READ, BROWSE)
                for opening in openings(view.authority, OPERATOR, scope)
                if opening.fits(caller.token_scopes)
            }

        assert opened(tokens["access_token"]) == {READ}
        define(world, READ, BROWSE)
        assert opened(tokens["access_token"]) == {READ}
        refreshed = (await flow.refresh(tokens["refresh_token"])).json()
        assert refreshed["scope"] == MANAGED
        assert opened(refreshed["access_token"]) == {READ}
        define(world, BROWSE)
        assert error_of(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


async def test_refresh_stops_when_the_administrator_who_approved_is_removed(world: World) -> None:
    person = Administrator(
        administrator_id="chen",
        display_name="Chen",
        issuer="https://idp.test",
        subject="chen",
        roles=frozenset({AdministratorRole.ADMINISTRATOR_ROLE_LICENSING}),
    )
    world.record(ADMINISTRATOR, "chen", person)
    world.grant("grant-create", OPERATOR, "operators:create")
    async with flowing(world) as flow:
        interaction_id = await flow.opened(await flow.pushed(scope="operators:create"))
        url = flow.approved(interaction_id, principal=person.principal)
        assert url is not None
        answer = await flow.redeem(answer_in(url)["code"])
        assert answer.status_code == 200, answer.text
        token = answer.json()["refresh_token"]
        assert (await flow.refresh(token)).status_code == 200
        removed = person.model_copy(update={"removed_at": world.clock.now()})
        world.record(ADMINISTRATOR, "chen", removed)
        assert error_of(await flow.refresh(token)) == (400, "invalid_grant")


@always_on_postgresql
@on_both_stores
async def test_revoked_grant_gives_no_token_and_stops_those_it_gave(world: World) -> None:
    async with flowing(world) as flow:
        tokens = await flow.tokens()
        grants, now = SqlOAuthGrants(world.engine), world.clock.now()
        assert grants.of_refresh_token(tokens["refresh_token"], now) is not None
        grants.revoke(tokens["grant_id"], now)
        grants.revoke(tokens["grant_id"], now)
        grants.revoke("no-such-grant", now)
        assert error_of(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
        assert grants.get(tokens["grant_id"], now) is None
        assert grants.of_refresh_token(tokens["refresh_token"], now) is None
    assert revoked(world) == [tokens["grant_id"]]


async def test_refresh_token_is_nothing_in_the_hands_of_another_client(world: World) -> None:
    other = world.newcomer("alpha-two")
    async with flowing(world) as flow:
        token = (await flow.tokens())["refresh_token"]
        fields = {
            "client_id": "alpha-two",
            "jwks": other.assertion_key.jwks,
            "certificate_thumbprints": frozenset({other.certificate.thumbprint}),
        }
        record = world.snapshot().authority.clients[CLIENT].model_copy(update=fields)
        world.record("client", "alpha-two", record)
        async with httpx.AsyncClient(verify=world.trust(other.certificate)) as http:
            thief = CodeFlow(world, flow.issuer, http, other, flow.desk)
            stolen = await thief.refresh(token)
            assert error_of(stolen) == (400, "invalid_grant")
            assert stolen.json()["error_description"]
        assert (await flow.refresh(token)).status_code == 200
        assert error_of(await flow.refresh("x" * 43)) == (400, "invalid_grant")


async def test_client_may_take_a_new_key_when_it_refreshes(world: World) -> None:
    first, second = new_key(), new_key()
    async with flowing(world, binding="dpop") as flow:
        token = (await flow.redeem(await flow.code(), first)).json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token}
        answer = await flow.post("token", form, second)
        assert claims_in(answer.json()["access_token"])["cnf"] == {"jkt": second.thumbprint()}
        assert error_of(await flow.post("token", form)) == (400, "invalid_dpop_proof")


async def _from_before(flow: CodeFlow) -> dict[str, Any]:
    """Return tokens from before the incident, which is over when they are returned."""
    tokens = await flow.tokens()
    flow.world.clock.seconds += 10
    return tokens


def _later(world: World) -> World:
    """Let an incident end ten seconds from now, for servers started from here on."""
    world.rotate_before = world.clock.now() + 10
    return world


@on_both_stores
async def test_after_an_incident_a_token_is_replaced_once(world: World) -> None:
    async with flowing(_later(world)) as flow:
        tokens = await _from_before(flow)
        replaced = await flow.refresh(tokens["refresh_token"])
        following = replaced.json()["refresh_token"]
        assert following != tokens["refresh_token"]
        assert len(following) == 43
        again = await flow.refresh(following)
        assert again.status_code == 200
        assert "refresh_token" not in again.json()
        later = await flow.tokens()
        assert "refresh_token" not in (await flow.refresh(later["refresh_token"])).json()


@always_on_postgresql
@on_both_stores
async def test_client_that_lost_the_answer_gets_the_same_new_token_again(world: World) -> None:
    async with flowing(_later(world)) as flow:
        tokens = await _from_before(flow)
        old = tokens["refresh_token"]
        first = (await flow.refresh(old)).json()["refresh_token"]
        world.clock.seconds += RETRY_SECONDS - 1
        retried = await asyncio.gather(*(flow.refresh(old) for _ in range(3)))
        assert {response.json()["refresh_token"] for response in retried} == {first}
        assert (await flow.refresh(first)).status_code == 200
    assert not revoked(world)


@on_both_stores
async def test_old_token_that_comes_after_the_new_one_was_used_ends_the_family(
    world: World,
) -> None:
    async with flowing(_later(world)) as flow:
        tokens = await _from_before(flow)
        old = tokens["refresh_token"]
        new = (await flow.refresh(old)).json()["refresh_token"]
        assert (await flow.refresh(new)).status_code == 200
        assert error_of(await flow.refresh(old)) == (400, "invalid_grant")
        assert error_of(await flow.refresh(new)) == (400, "invalid_grant")
    assert revoked(world) == [tokens["grant_id"]]


@always_on_postgresql
@on_both_stores
async def test_old_token_that_comes_too_late_ends_the_family(world: World) -> None:
    async with flowing(_later(world)) as flow:
        tokens = await _from_before(flow)
        new = (await flow.refresh(tokens["refresh_token"])).json()["refresh_token"]
        world.clock.seconds += RETRY_SECONDS
        assert error_of(await flow.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
        assert error_of(await flow.refresh(new)) == (400, "invalid_grant")
    assert revoked(world) == [tokens["grant_id"]]


@always_on_postgresql
@on_both_stores
async def test_store_keeps_no_secret_and_forgets_what_is_over(world: World) -> None:
    async with flowing(_later(world)) as flow:
        code = await flow.code()
        tokens = (await flow.redeem(code)).json()
        world.clock.seconds += 10
        new = (await flow.refresh(tokens["refresh_token"])).json()["refresh_token"]
        kept = _kept(world)
        for secret in (code, tokens["refresh_token"], new, tokens["access_token"]):
            assert secret not in repr(kept)
        assert {name: len(rows) for name, rows in kept.items()} == {
            "oauth_code": 1,
            "oauth_grant": 1,
            "oauth_refresh_token": 2,
        }
        world.clock.seconds += max(GRANT_SECONDS, REMEMBERED_SECONDS) + 60
        world.issue_key()
        await flow.tokens()
    assert {name: len(rows) for name, rows in _kept(world).items()} == {
        "oauth_code": 1,
        "oauth_grant": 1,
        "oauth_refresh_token": 1,
    }


def _kept(world: World) -> Mapping[str, list[Any]]:
    with world.engine.connect() as connection:
        return {
            table.name: list(connection.execute(select(table)).all())
            for table in (CODE, GRANT, REFRESH_TOKEN)
        }


@pytest.mark.parametrize("path", ["code", "refresh"])
async def test_nothing_secret_is_logged(
    world: World, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with flowing(_later(world)) as flow:
        code = await flow.code()
        tokens = (await flow.redeem(code)).json()
        secrets = [code, tokens["access_token"], tokens["refresh_token"]]
        if path == "refresh":
            world.clock.seconds += 10
            refreshed = (await flow.refresh(tokens["refresh_token"])).json()
            secrets += [refreshed["access_token"], refreshed["refresh_token"]]
    own = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))
    ]
    assert not [secret for secret in secrets if secret in "\n".join(own)]
