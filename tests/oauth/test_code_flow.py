"""The code flow from end to end: what its tokens say, and what each step insists on."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import httpx
import pytest

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.oauth.grants import SqlOAuthGrants
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.oauth.code_flow import (
    ACR,
    PERSON,
    REDIRECT,
    answer_in,
    challenge_of,
    error_of,
    flowing,
    revoked,
)
from tests.oauth.proofs import new_key
from tests.oauth.world import (
    BROWSE,
    CLIENT,
    GRANT_SECONDS,
    OPERATOR,
    READ,
    TOKEN_SECONDS,
    World,
    on_both_stores,
)

pytestmark = rarely_on_postgresql


def claims_in(token: str) -> dict[str, Any]:
    """Return what a token says."""
    return json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))


@on_both_stores
async def test_tokens_say_who_approved_and_how_they_had_signed_in(world: World) -> None:
    async with flowing(world) as flow:
        tokens = await flow.tokens()
    now = world.clock.now()
    claims = claims_in(tokens["access_token"])
    assert claims["sub"] == PERSON
    assert claims["client_id"] == CLIENT
    assert claims["scope"] == READ
    assert (claims["auth_time"], claims["acr"]) == (now - 5, ACR)
    assert claims["grant_id"] == tokens["grant_id"]
    assert claims["exp"] == now + TOKEN_SECONDS
    assert claims["cnf"] == {"x5t#S256": world.identity.certificate.thumbprint}
    assert tokens["expires_in"] == TOKEN_SECONDS
    assert len(tokens["refresh_token"]) == 43


async def test_response_names_the_issuer_and_gives_back_the_state(world: World) -> None:
    async with flowing(world) as flow:
        url = flow.approved(await flow.opened(await flow.pushed()))
        assert url is not None
        assert url.startswith(f"{REDIRECT}&")
        answer = answer_in(url)
        assert answer.keys() == {"kept", "iss", "state", "code"}
        assert (answer["iss"], answer["state"]) == (flow.issuer, "st-1")
        denied = flow.desk.deny(await flow.opened(await flow.pushed(state=None)))
        assert denied is not None
        error = answer_in(denied)
        assert (error["error"], error["iss"]) == ("access_denied", flow.issuer)
        assert "state" not in error


@always_on_postgresql
@on_both_stores
async def test_code_is_redeemed_once_and_a_second_time_ends_what_it_gave(world: World) -> None:
    async with flowing(world) as flow:
        code = await flow.code()
        first = await flow.redeem(code)
        second = await flow.redeem(code)
        assert first.status_code == 200
        assert error_of(second) == (400, "invalid_grant")
        refreshed = await flow.refresh(first.json()["refresh_token"])
        assert error_of(refreshed) == (400, "invalid_grant")
    grant = claims_in(first.json()["access_token"])["grant_id"]
    assert revoked(world) == [grant]


@on_both_stores
async def test_code_lives_less_than_a_minute_and_one_second(world: World) -> None:
    async with flowing(world) as flow:
        late, early = await flow.code(), await flow.code()
        world.clock.seconds += 59
        assert (await flow.redeem(early)).status_code == 200
        world.clock.seconds += 1
        assert error_of(await flow.redeem(late)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"redirect_uri": REDIRECT.lower() + "#"}, "invalid_grant"),
        ({"code": "x" * 43}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
    ],
)
@on_both_stores
async def test_what_does_not_fit_the_code_is_refused_and_does_not_use_it_up(
    world: World, changed: dict[str, str | None], error: str
) -> None:
    async with flowing(world) as flow:
        code = await flow.code()
        assert error_of(await flow.redeem(code, **changed)) == (400, error)
        assert (await flow.redeem(code)).status_code == 200


@on_both_stores
async def test_code_of_one_client_is_nothing_in_the_hands_of_another(world: World) -> None:
    other = world.newcomer("alpha-two")
    async with flowing(world) as flow:
        world.record(
            "client",
            "alpha-two",
            world.snapshot()
            .authority.clients[CLIENT]
            .model_copy(
                update={
                    "client_id": "alpha-two",
                    "jwks": other.assertion_key.jwks,
                    "certificate_thumbprints": frozenset({other.certificate.thumbprint}),
                }
            ),
        )
        code = await flow.code()
        async with httpx.AsyncClient(verify=world.trust(other.certificate)) as http:
            flow.identity, own = other, flow.identity
            flow.http, http_of_own = http, flow.http
            assert error_of(await flow.redeem(code)) == (400, "invalid_grant")
        flow.identity, flow.http = own, http_of_own
        tokens = await flow.redeem(code)
        assert tokens.status_code == 200
    assert not revoked(world)


async def test_code_bound_to_a_key_is_redeemed_with_that_key_alone(world: World) -> None:
    key, other = new_key(), new_key()
    async with flowing(world, binding="dpop") as flow:
        by_parameter = await flow.push(dpop_jkt=key.thumbprint())
        by_proof = await flow.push(key)
        for pushed in (by_parameter, by_proof):
            assert pushed.status_code == 201, pushed.text
            url = flow.approved(await flow.opened(pushed.json()["request_uri"]))
            assert url is not None
            code = answer_in(url)["code"]
            assert error_of(await flow.redeem(code, other)) == (400, "invalid_grant")
            good = await flow.redeem(code, key)
            assert good.status_code == 200, good.text
            assert good.json()["token_type"] == "DPoP"
            assert claims_in(good.json()["access_token"])["cnf"] == {"jkt": key.thumbprint()}
        free = await flow.code()
        assert (await flow.redeem(free, other)).status_code == 200


async def test_what_was_withdrawn_since_the_approval_is_not_in_the_token(world: World) -> None:
    async with flowing(world) as flow:
        some = await flow.code(scope=f"{READ} {BROWSE}")
        none = await flow.code(scope=BROWSE)
        world.change("scope_grant", "grant-attest", withdrawn_at=world.clock.now())
        tokens = await flow.redeem(some)
        assert tokens.json()["scope"] == READ
        assert error_of(await flow.redeem(none)) == (400, "invalid_grant")
        suspended = await flow.code()
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        assert error_of(await flow.redeem(suspended)) == (400, "unauthorized_client")


async def test_administrator_who_was_removed_gives_no_token(world: World) -> None:
    async with flowing(world) as flow:
        url = flow.approved(await flow.opened(await flow.pushed()), principal="administrator:none")
        assert url is not None
        response = await flow.redeem(answer_in(url)["code"])
    assert error_of(response) == (400, "invalid_grant")


@on_both_stores
async def test_client_without_refresh_tokens_gets_a_grant_that_ends_with_its_token(
    world: World,
) -> None:
    async with flowing(world, grant_types=frozenset({"authorization_code"})) as flow:
        tokens = await flow.tokens()
        assert "refresh_token" not in tokens
        grants, now = SqlOAuthGrants(world.engine), world.clock.now()
        grant = grants.get(tokens["grant_id"], now + TOKEN_SECONDS - 1)
        assert grant is not None
        assert grant.principal == PERSON
        assert grants.get(tokens["grant_id"], now + TOKEN_SECONDS) is None
        refused = await flow.refresh("x" * 43)
    assert error_of(refused) == (400, "unauthorized_client")


@always_on_postgresql
@on_both_stores
async def test_grant_stands_for_as_long_as_configured(world: World) -> None:
    async with flowing(world) as flow:
        tokens = await flow.tokens()
    now = world.clock.now()
    grant = SqlOAuthGrants(world.engine).get(tokens["grant_id"], now + GRANT_SECONDS - 1)
    assert grant is not None
    assert (grant.scopes, grant.expires_at) == (frozenset({READ}), now + GRANT_SECONDS)
    assert SqlOAuthGrants(world.engine).get(tokens["grant_id"], now + GRANT_SECONDS) is None


async def test_client_not_registered_for_the_grant_gets_neither_request_nor_token(
    world: World,
) -> None:
    async with flowing(world) as flow:
        code = await flow.code()
        world.change(
            "client",
            CLIENT,
            grant_types=frozenset({"client_credentials"}),
            redirect_uris=frozenset[str](),
        )
        assert error_of(await flow.push()) == (400, "unauthorized_client")
        assert error_of(await flow.redeem(code)) == (400, "unauthorized_client")


def test_challenge_is_the_one_of_the_specification() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
