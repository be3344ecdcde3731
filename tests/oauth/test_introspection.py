"""RFC 7662 and RFC 9701: what a token is worth now, told to whom it concerns."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.jose import ProfileRegistry, verified_claims
from gateway.oauth.rfc9701 import MEDIA_TYPE, asks_for_jwt
from gateway.pki.client_keys import make_assertion_key
from operators.authorization_details import AuthorizationDetail
from tests.oauth.tokens import (
    GRANT_SECONDS,
    PERSON,
    ask,
    grant,
    granted_token,
    introspect,
    key_of,
    signed_token,
    token_of,
)
from tests.oauth.world import (
    AUDIENCE,
    BROWSE,
    CLIENT,
    OPERATOR,
    READ,
    TOKEN_SECONDS,
    World,
    on_both_stores,
)

INACTIVE = {"active": False}
DETAIL = {"type": "public_credit_data", "items": ["penalty"]}


async def test_machine_token_is_described_to_its_client(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        told = await introspect(world, issuer, world.identity, token)
    now = world.clock.now()
    assert told.pop("jti")
    assert told == {
        "active": True,
        "token_type": "Bearer",
        "iss": issuer,
        "sub": CLIENT,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "scope": f"{BROWSE} {READ}",
        "iat": now,
        "exp": now + TOKEN_SECONDS,
        "cnf": {"x5t#S256": world.identity.certificate.thumbprint},
    }


@on_both_stores
async def test_token_of_a_grant_tells_who_allowed_what(world: World) -> None:
    grant_id, _ = grant(world, CLIENT)
    async with world.serving() as issuer:
        token = granted_token(
            world,
            issuer,
            world.identity,
            grant_id,
            authorization_details=[DETAIL],
            act={"sub": "alpha-two", "act": {"sub": "alpha-three"}},
            ancestors=[
                {"jti": "token-0", "client_id": CLIENT, "client_key": key_of(world.identity)}
            ],
        )
        told = await introspect(world, issuer, world.identity, token)
    assert told["sub"] == PERSON
    assert told["grant_id"] == grant_id
    assert (told["acr"], told["auth_time"]) == ("urn:test:strong", world.clock.now() - 5)
    assert told["authorization_details"] == [DETAIL]
    assert told["act"] == {"sub": "alpha-two", "act": {"sub": "alpha-three"}}
    assert "ancestors" not in told


async def test_token_bound_to_a_key_says_so(world: World) -> None:
    world.change("client", CLIENT, binding="dpop")
    async with world.serving() as issuer:
        token = signed_token(world, issuer, world.identity, cnf={"jkt": "A" * 43})
        told = await introspect(world, issuer, world.identity, token)
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": "A" * 43})


@on_both_stores
async def test_refresh_token_is_described_by_its_grant(world: World) -> None:
    detail = AuthorizationDetail.model_validate(DETAIL)
    grant_id, refresh_token = grant(world, CLIENT, READ, (detail,))
    async with world.serving() as issuer:
        told = await introspect(world, issuer, world.identity, refresh_token)
    now = world.clock.now()
    assert told == {
        "active": True,
        "iss": issuer,
        "client_id": CLIENT,
        "sub": PERSON,
        "scope": READ,
        "iat": now,
        "exp": now + GRANT_SECONDS,
        "grant_id": grant_id,
        "authorization_details": [DETAIL],
    }


async def test_only_the_client_itself_and_administrators_are_told(world: World) -> None:
    sister, publisher = world.newcomer("alpha-two"), world.newcomer("site")
    world.register(sister, ClientRole.CLIENT_ROLE_OPERATOR, OPERATOR)
    world.register(publisher, ClientRole.CLIENT_ROLE_PUBLISHER, "")
    _, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = await token_of(world, issuer, world.identity)
        for token in (access, refresh_token):
            for stranger in (sister, publisher):
                assert await introspect(world, issuer, stranger, token) == INACTIVE
            for entitled in (world.identity, world.administrator):
                assert (await introspect(world, issuer, entitled, token))["active"]


async def test_token_of_an_operator_that_may_not_act_opens_its_duties_alone(
    world: World,
) -> None:
    world.grant("grant-watch", OPERATOR, "consents:watch")
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        told = await introspect(world, issuer, world.administrator, token)
    assert (told["active"], told["scope"]) == (True, "consents:watch")


@pytest.mark.parametrize("which", ["access", "refresh"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            ("operator", OPERATOR, {"state": OperatorState.OPERATOR_STATE_SUSPENDED}),
            id="operator suspended",
        ),
        pytest.param(("client", CLIENT, {"removed_at": 1}), id="client removed"),
        pytest.param(("scope_grant", "grant-read", {"withdrawn_at": 1}), id="scope withdrawn"),
    ],
)
async def test_token_that_opens_nothing_any_more_is_not_active(
    world: World, change: tuple[str, str, dict[str, Any]], which: str
) -> None:
    _, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = await token_of(world, issuer, world.identity, scope=READ)
        token = access if which == "access" else refresh_token
        assert (await introspect(world, issuer, world.administrator, token))["active"]
        kind, id_, fields = change
        world.change(kind, id_, **fields)
        assert await introspect(world, issuer, world.administrator, token) == INACTIVE


async def test_token_of_a_certificate_no_longer_registered_is_not_active(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        other = world.newcomer("other").certificate.thumbprint
        world.change("client", CLIENT, certificate_thumbprints=frozenset({other}))
        assert await introspect(world, issuer, world.administrator, token) == INACTIVE


async def test_token_got_by_a_key_no_longer_registered_is_not_active(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        world.change("client", CLIENT, jwks=make_assertion_key().jwks)
        assert await introspect(world, issuer, world.administrator, token) == INACTIVE


async def test_withdrawn_scope_is_left_out(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        world.change("scope_grant", "grant-read", withdrawn_at=world.clock.now())
        assert (await introspect(world, issuer, world.identity, token))["scope"] == BROWSE


async def test_tokens_end_on_the_second(world: World) -> None:
    start = world.clock.now()
    _, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = await token_of(world, issuer, world.identity)
        for token, seconds in ((access, TOKEN_SECONDS), (refresh_token, GRANT_SECONDS)):
            world.clock.seconds = start + seconds - 1
            assert (await introspect(world, issuer, world.identity, token))["active"]
            world.clock.seconds = start + seconds
            assert await introspect(world, issuer, world.identity, token) == INACTIVE


async def test_what_is_no_token_of_this_server_is_not_active(world: World) -> None:
    async with world.serving() as issuer:
        for token in (
            "nothing",
            "a.b.c",
            signed_token(world, issuer, world.identity, iss="https://other.test"),
            signed_token(world, issuer, world.identity, aud="https://other.test"),
            signed_token(world, issuer, world.identity, cnf=None),
        ):
            assert await introspect(world, issuer, world.administrator, token) == INACTIVE


async def test_answer_is_signed_for_who_asks_when_that_is_accepted(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        answers = [
            await ask(
                world,
                issuer,
                "/oauth/introspect",
                asker,
                {"token": text},
                f"{MEDIA_TYPE}, */*;q=0.1",
            )
            for asker, text in ((world.administrator, token), (world.identity, "nothing"))
        ]
        plain = await introspect(world, issuer, world.identity, token)
    keys = world.snapshot().signing_keys
    told: list[dict[str, Any]] = []
    for answer in answers:
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert answer.headers["cache-control"] == "no-store"
        header = jws.extract_compact(answer.content).headers()
        assert header["typ"] == "token-introspection+jwt"
        jwk = keys[header["kid"]]
        told.append(
            verified_claims(answer.text, ECKey.import_key(dict(jwk)), jwk["alg"], ProfileRegistry())
        )
    frame = {"iss": issuer, "iat": world.clock.now()}
    assert told == [
        {**frame, "aud": "office", "token_introspection": plain},
        {**frame, "aud": CLIENT, "token_introspection": INACTIVE},
    ]


async def test_signed_answer_cannot_be_used_as_a_token(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        answer = await ask(
            world, issuer, "/oauth/introspect", world.identity, {"token": token}, MEDIA_TYPE
        )
        assert await introspect(world, issuer, world.identity, answer.text) == INACTIVE


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (MEDIA_TYPE, True),
        (MEDIA_TYPE.upper(), True),
        (f"application/json;q=0.5, {MEDIA_TYPE}", True),
        (f"application/json, {MEDIA_TYPE}", True),
        (f"application/json, {MEDIA_TYPE};q=0.5", False),
        (f"{MEDIA_TYPE};q=0", False),
        (f"{MEDIA_TYPE};q=x", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_answer_is_signed_only_where_that_is_preferred(accept: str, wanted: bool) -> None:
    assert asks_for_jwt(accept) is wanted


@given(st.text(max_size=60))
def test_no_accept_header_makes_the_answer_fail(accept: str) -> None:
    asks_for_jwt(accept)


async def test_nobody_is_told_without_authentication(world: World) -> None:
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        answer = await world.post(
            issuer,
            {"token": token, "client_id": CLIENT},
            world.identity.certificate,
            "/oauth/introspect",
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
    assert json.dumps(answer.json()).find(READ) < 0
