"""The token endpoint: who gets a token, and what stands in it."""

import json

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth.client import GRANT_TYPES
from operators.duties import DUTY_SCOPES
from tests.oauth.assertions import claims_of, form_of, good_form, signed
from tests.oauth.tokens import key_of
from tests.oauth.world import (
    ADMINISTRATOR,
    AUDIENCE,
    BROWSE,
    CLIENT,
    OPERATOR,
    READ,
    TOKEN_SECONDS,
    World,
    on_both_stores,
)


def _claims(response: httpx.Response) -> dict[str, object]:
    token = jws.extract_compact(response.json()["access_token"].encode())
    return json.loads(token.payload)


@on_both_stores
async def test_token_carries_all_that_is_granted_and_is_bound_to_the_certificate(
    world: World,
) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == TOKEN_SECONDS
    assert body["scope"] == f"{BROWSE} {READ}"
    assert "refresh_token" not in body
    header = jws.extract_compact(body["access_token"].encode()).headers()
    assert header["typ"] == "at+jwt"
    assert header["kid"] in world.snapshot().signing_keys
    claims = _claims(response)
    assert claims.pop("jti")
    assert claims == {
        "iss": issuer,
        "sub": CLIENT,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "scope": f"{BROWSE} {READ}",
        "iat": world.clock.now(),
        "exp": world.clock.now() + TOKEN_SECONDS,
        "cnf": {"x5t#S256": world.identity.certificate.thumbprint},
        "client_key": key_of(world.identity),
    }


async def test_requested_scope_narrows_the_token(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now(), scope=READ)
        response = await world.post(issuer, form, world.identity.certificate)
    assert response.json()["scope"] == READ


async def test_clients_of_other_roles_get_what_is_granted_to_themselves(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.administrator, issuer, world.clock.now())
        response = await world.post(issuer, form, world.administrator.certificate)
    assert response.json()["scope"] == "operators:create"
    assert _claims(response)["sub"] == ADMINISTRATOR


async def test_assertion_addressed_to_anything_but_the_issuer_is_refused(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, f"{issuer}/oauth/token", world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client")


@pytest.mark.parametrize("asked", ["operators:create", f"{READ} operators:create", "no:such"])
async def test_scope_beyond_what_is_granted_is_refused(world: World, asked: str) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now(), scope=asked)
        response = await world.post(issuer, form, world.identity.certificate)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")
    assert "granted" in response.json()["error_description"]
    assert asked not in response.text


@pytest.mark.parametrize("name", ["resource", "audience"])
async def test_token_is_to_be_had_for_the_one_audience_alone(world: World, name: str) -> None:
    async with world.serving() as issuer:
        answers = [
            await world.post(
                issuer,
                {**good_form(world.identity, issuer, world.clock.now()), name: target},
                world.identity.certificate,
            )
            for target in ("https://other.test", f"{AUDIENCE}/more", AUDIENCE)
        ]
    assert [answer.json().get("error") for answer in answers] == ["invalid_target"] * 2 + [None]
    assert _claims(answers[-1])["aud"] == AUDIENCE


@on_both_stores
async def test_withdrawn_scope_is_refused_from_the_next_request_on(world: World) -> None:
    async with world.serving() as issuer:
        now = world.clock.now()
        before = await world.post(
            issuer, good_form(world.identity, issuer, now, scope=READ), world.identity.certificate
        )
        world.change("scope_grant", "grant-read", withdrawn_at=now)
        after = await world.post(
            issuer, good_form(world.identity, issuer, now, scope=READ), world.identity.certificate
        )
        rest = await world.post(
            issuer, good_form(world.identity, issuer, now), world.identity.certificate
        )
    assert before.status_code == 200
    assert after.json()["error"] == "invalid_scope"
    assert rest.json()["scope"] == BROWSE


async def test_grant_holds_from_its_start_to_just_before_its_end(world: World) -> None:
    start = world.clock.now()
    world.grant("grant-boxed", OPERATOR, "credit.usage:read", until=start + 10)
    async with world.serving() as issuer:
        answers: list[int] = []
        for moment in (start - 1, start, start + 9, start + 10):
            world.clock.seconds = moment
            form = good_form(world.identity, issuer, moment, scope="credit.usage:read")
            answers.append((await world.post(issuer, form, world.identity.certificate)).status_code)
    assert answers == [400, 200, 200, 400]


async def test_client_without_any_grant_gets_no_token(world: World) -> None:
    for grant in ("grant-read", "grant-attest"):
        world.change("scope_grant", grant, withdrawn_at=world.clock.now())
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert response.json()["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "state", [OperatorState.OPERATOR_STATE_SUSPENDED, OperatorState.OPERATOR_STATE_REVOKED]
)
async def test_suspended_or_revoked_operator_gets_no_token(
    world: World, state: OperatorState.ValueType
) -> None:
    world.change("operator", OPERATOR, state=state)
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    "state", [OperatorState.OPERATOR_STATE_SUSPENDED, OperatorState.OPERATOR_STATE_REVOKED]
)
async def test_operator_that_may_not_act_gets_tokens_for_its_duties_alone(
    world: World, state: OperatorState.ValueType
) -> None:
    for number, scope in enumerate((*DUTY_SCOPES, "consents:request")):
        world.grant(f"grant-{number}", OPERATOR, scope)
    world.change("operator", OPERATOR, state=state)

    async def asked(issuer: str, **more: str) -> httpx.Response:
        form = good_form(world.identity, issuer, world.clock.now(), **more)
        return await world.post(issuer, form, world.identity.certificate)

    async with world.serving() as issuer:
        whole, watch = await asked(issuer), await asked(issuer, scope="consents:watch")
        beyond = [
            await asked(issuer, scope=scope)
            for scope in (READ, "consents:request", f"consents:watch {READ}")
        ]
    assert set(whole.json()["scope"].split()) == DUTY_SCOPES
    assert watch.json()["scope"] == "consents:watch"
    assert [answer.json()["error"] for answer in beyond] == ["unauthorized_client"] * 3


async def test_removed_client_gets_no_token(world: World) -> None:
    world.change("client", CLIENT, removed_at=world.clock.now())
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client")


async def test_connection_without_certificate_gets_no_token(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, None)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client")


async def test_certificate_not_registered_for_the_client_gets_no_token(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        others = await world.post(issuer, form, world.administrator.certificate)
        nobodys = await world.post(issuer, form, world.newcomer("somebody").certificate)
        own = await world.post(issuer, form, world.identity.certificate)
    assert (others.status_code, others.json()["error"]) == (400, "invalid_client")
    assert (nobodys.status_code, nobodys.json()["error"]) == (400, "invalid_client")
    assert own.status_code == 200, "a refused connection must not use up the assertion"


async def test_client_id_must_name_the_client_that_signed(world: World) -> None:
    async with world.serving() as issuer:
        now = world.clock.now()
        other = good_form(world.identity, issuer, now, client_id=ADMINISTRATOR)
        same = good_form(world.identity, issuer, now, client_id=CLIENT)
        refused = await world.post(issuer, other, world.identity.certificate)
        accepted = await world.post(issuer, same, world.identity.certificate)
    assert refused.json()["error"] == "invalid_client"
    assert accepted.status_code == 200


async def test_any_registered_key_may_sign_with_or_without_naming_itself(world: World) -> None:
    second = ECKey.generate_key("P-256")
    first = ECKey.import_key(world.identity.assertion_key.key)
    jwks = {"keys": [first.as_dict(private=False), second.as_dict(private=False, kid="second")]}
    world.change("client", CLIENT, jwks=json.dumps(jwks))
    async with world.serving() as issuer:
        now = world.clock.now()
        answers = [
            (
                await world.post(
                    issuer,
                    form_of(signed(claims_of(world.identity, issuer, now), key, **header)),
                    world.identity.certificate,
                )
            ).status_code
            for key, header in (
                (first, {"alg": "ES256"}),
                (second, {"alg": "ES256"}),
                (second, {"alg": "ES256", "kid": "second"}),
                (second, {"alg": "ES256", "kid": first.thumbprint()}),
            )
        ]
    assert answers == [200, 200, 200, 400]


async def test_unknown_grant_type_is_refused(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now(), grant_type="password")
        response = await world.post(issuer, form, world.identity.certificate)
    assert response.json() == {
        "error": "unsupported_grant_type",
        "error_description": f"Supported grant types: {', '.join(GRANT_TYPES)}.",
    }
