"""RFC 8693: a token exchanged opens the same or less, never more, for no other operator."""

import json
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc6749 import InvalidScopeError
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws

from creditgate.refusal import Refused
from creditgate.uscc import check_character
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.authenticator import Authenticator
from gateway.authenticate.token import TokenVerifier
from gateway.oauth.client import GRANT_QUERY
from gateway.oauth.rfc8693 import narrowed_scope
from operators.model import Operator
from tests.oauth.licensed import license_operator
from tests.oauth.proofs import new_key, proof_of
from tests.oauth.tokens import (
    ACCESS_TOKEN,
    EXCHANGE,
    MANAGED,
    PERSON,
    define,
    exchange,
    grant,
    granted_token,
    introspect,
    key_of,
    revoke,
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
    Identity,
    World,
)

SISTER = "alpha-two"
BOTH = f"{BROWSE} {READ}"
REGISTERED = frozenset({"client_credentials", EXCHANGE})
PENALTY = {"type": "public_credit_data", "items": ["penalty"]}
EITHER = {"type": "public_credit_data", "items": ["penalty", "rating"]}
INACTIVE = {"active": False}


@pytest.fixture
def world(world: World) -> World:
    """A world whose client may exchange tokens."""
    world.change("client", CLIENT, grant_types=REGISTERED)
    return world


@pytest.fixture
def sister(world: World) -> Identity:
    """Another client of the same operator, which may exchange tokens too."""
    return registered(world, SISTER, OPERATOR)


def registered(world: World, client_id: str, operator_id: str) -> Identity:
    """Register a client of an operator for token exchange."""
    identity = world.newcomer(client_id)
    world.register(identity, ClientRole.CLIENT_ROLE_OPERATOR, operator_id)
    world.change("client", client_id, grant_types=REGISTERED)
    return identity


def claims_of(response: httpx.Response) -> dict[str, Any]:
    """Return the claims of the token in a token response."""
    assert response.status_code == 200, response.text
    token = jws.extract_compact(response.json()["access_token"].encode())
    return json.loads(token.payload)


async def test_client_narrows_its_own_token(world: World) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        jti = (await introspect(world, issuer, world.identity, subject))["jti"]
        world.clock.seconds += 40
        answer = await exchange(world, issuer, world.identity, subject, scope=READ)
        body, claims = answer.json(), claims_of(answer)
        assert (await introspect(world, issuer, world.identity, body["access_token"]))["active"]
    now = world.clock.now()
    assert answer.headers["cache-control"] == "no-store"
    assert {name: body[name] for name in body if name != "access_token"} == {
        "token_type": "Bearer",
        "issued_token_type": ACCESS_TOKEN,
        "expires_in": TOKEN_SECONDS - 40,
        "scope": READ,
    }
    assert claims.pop("jti") != jti
    assert claims == {
        "iss": issuer,
        "sub": CLIENT,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "scope": READ,
        "iat": now,
        "exp": now + TOKEN_SECONDS - 40,
        "cnf": {"x5t#S256": world.identity.certificate.thumbprint},
        "client_key": key_of(world.identity),
        "ancestors": [{"jti": jti, "client_id": CLIENT, "client_key": key_of(world.identity)}],
    }


async def test_sister_client_acts_by_a_machine_token_and_is_named_as_the_actor(
    world: World, sister: Identity
) -> None:
    third = registered(world, "alpha-three", OPERATOR)
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        first = await exchange(world, issuer, sister, subject, scope=READ)
        second = await exchange(world, issuer, third, first.json()["access_token"])
    assert claims_of(first)["act"] == {"sub": SISTER}
    claims = claims_of(second)
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (CLIENT, "alpha-three", READ)
    assert claims["act"] == {"sub": "alpha-three", "act": {"sub": SISTER}}
    assert claims["cnf"] == {"x5t#S256": third.certificate.thumbprint}
    assert [each["client_id"] for each in claims["ancestors"]] == [CLIENT, SISTER]


async def test_what_a_person_allowed_keeps_its_person_grant_and_details(world: World) -> None:
    license_operator(world)
    grant_id, _ = grant(world, CLIENT, READ)
    async with world.serving() as issuer:
        subject = granted_token(
            world, issuer, world.identity, grant_id, authorization_details=[EITHER]
        )
        kept = await exchange(world, issuer, world.identity, subject)
        narrowed = await exchange(
            world, issuer, world.identity, subject, authorization_details=json.dumps([PENALTY])
        )
    claims = claims_of(kept)
    assert (claims["sub"], claims["grant_id"]) == (PERSON, grant_id)
    assert (claims["acr"], claims["auth_time"]) == ("urn:test:strong", world.clock.now() - 5)
    assert claims["authorization_details"] == [EITHER]
    assert "act" not in claims
    assert claims_of(narrowed)["authorization_details"] == [PENALTY]
    assert narrowed.json()["authorization_details"] == [PENALTY]


async def test_details_are_never_widened(world: World) -> None:
    license_operator(world)
    async with world.serving() as issuer:
        subject = signed_token(world, issuer, world.identity, authorization_details=[PENALTY])
        for wider in ([EITHER], [PENALTY, EITHER], [{"type": "public_credit_data"}], []):
            answer = await exchange(
                world, issuer, world.identity, subject, authorization_details=json.dumps(wider)
            )
            assert answer.status_code == 400
            assert answer.json()["error"] == "invalid_authorization_details"


@pytest.mark.parametrize("asked", [BOTH, BROWSE, "operators:create", GRANT_QUERY, "no:such"])
async def test_scope_is_never_widened(world: World, asked: str) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity, scope=READ)
        answer = await exchange(world, issuer, world.identity, subject, scope=asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_scope_withdrawn_since_is_not_exchanged(world: World) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        world.change("scope_grant", "grant-read", withdrawn_at=world.clock.now())
        answer = await exchange(world, issuer, world.identity, subject, scope=READ)
        assert answer.json()["error"] == "invalid_scope"
        rest = await exchange(world, issuer, world.identity, subject)
    assert claims_of(rest)["scope"] == BROWSE


async def test_no_operator_takes_the_token_of_another(world: World) -> None:
    base = "910000007654321AB"
    world.record(
        "operator",
        "beta",
        Operator(
            operator_id="beta",
            display_name="Beta Invented Credit",
            uscc=base + check_character(base),
            state=OperatorState.OPERATOR_STATE_ACTIVE,
        ),
    )
    world.grant("grant-beta", "beta", READ)
    stranger = registered(world, "beta-one", "beta")
    world.change("client", "office", grant_types=REGISTERED)
    colleague = world.newcomer("office-two")
    world.register(colleague, ClientRole.CLIENT_ROLE_ADMINISTRATOR, "")
    world.change("client", "office-two", grant_types=REGISTERED)
    world.grant("grant-office-two", "office-two", "operators:create")
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        offices = await token_of(world, issuer, world.administrator)
        for asker, token in (
            (stranger, subject),
            (world.administrator, subject),
            (world.identity, offices),
            (colleague, offices),
        ):
            answer = await exchange(world, issuer, asker, token)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
            assert "scope" not in answer.json()
        own = await exchange(world, issuer, world.administrator, offices)
        assert claims_of(own)["scope"] == "operators:create"


async def test_no_client_takes_what_a_person_allowed_another(
    world: World, sister: Identity
) -> None:
    grant_id, _ = grant(world, CLIENT)
    async with world.serving() as issuer:
        of_grant = granted_token(world, issuer, world.identity, grant_id)
        of_person = signed_token(
            world, issuer, world.identity, sub=PERSON, auth_time=world.clock.now()
        )
        for subject in (of_grant, of_person):
            answer = await exchange(world, issuer, sister, subject)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_nobody_names_another_actor(world: World, sister: Identity) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        sisters = await token_of(world, issuer, sister)
        for more in (
            {"actor_token": sisters, "actor_token_type": ACCESS_TOKEN},
            {"actor_token": sisters},
            {"actor_token_type": ACCESS_TOKEN},
        ):
            answer = await exchange(world, issuer, world.identity, subject, **more)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
            assert "actor" in answer.json()["error_description"]


async def test_subject_token_that_does_not_stand_is_refused(world: World, sister: Identity) -> None:
    now = world.clock.now()
    grant_id, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        revoked, good = [await token_of(world, issuer, world.identity) for _ in range(2)]
        await revoke(world, issuer, world.identity, revoked)
        of_ended = granted_token(world, issuer, world.identity, grant_id)
        await revoke(world, issuer, world.identity, refresh_token)
        tokens = [
            revoked,
            of_ended,
            refresh_token,
            "nothing",
            good[:-4] + "AAAA",
            signed_token(world, issuer, world.identity, exp=now),
            signed_token(world, issuer, world.identity, aud="https://other.test"),
            signed_token(world, issuer, world.identity, iss="https://other.test"),
            signed_token(world, issuer, world.identity, cnf={"x5t#S256": "A" * 43}),
            signed_token(
                world,
                issuer,
                world.identity,
                ancestors=[
                    {"jti": f"a-{n}", "client_id": CLIENT, "client_key": key_of(world.identity)}
                    for n in range(4)
                ],
            ),
        ]
        for token in tokens:
            answer = await exchange(world, issuer, world.identity, token)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        world.change("client", SISTER, removed_at=now)
        gone = signed_token(world, issuer, sister)
        answer = await exchange(world, issuer, world.identity, gone)
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("which", [0, 1])
async def test_revoking_any_ancestor_ends_what_was_exchanged_from_it(
    world: World, sister: Identity, which: int
) -> None:
    async with world.serving() as issuer:
        tokens = [await token_of(world, issuer, world.identity)]
        for asker in (world.identity, sister):
            answer = await exchange(world, issuer, asker, tokens[-1])
            tokens.append(answer.json()["access_token"])
        assert (await introspect(world, issuer, sister, tokens[-1]))["active"]
        await revoke(world, issuer, world.identity, tokens[which])
        assert await introspect(world, issuer, sister, tokens[-1]) == INACTIVE
        before = await introspect(world, issuer, world.identity, tokens[0])
        assert before["active"] is (which == 1), "what it came from stays"


@pytest.mark.parametrize("how", ["client", "key"])
async def test_exchanged_token_ends_when_its_source_loses_client_or_key(
    world: World, sister: Identity, how: str
) -> None:
    third = registered(world, "alpha-three", OPERATOR)
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity)
        for asker in (sister, third):
            token = (await exchange(world, issuer, asker, token)).json()["access_token"]
        assert (await introspect(world, issuer, third, token))["active"]
        authenticator = Authenticator(TokenVerifier(issuer, AUDIENCE))
        call = (third.certificate.certificate, f"Bearer {token}")
        authenticator.authenticate(*call, world.snapshot(), world.clock.now())
        if how == "client":
            world.change("client", CLIENT, removed_at=world.clock.now())
        else:
            world.change("client", CLIENT, jwks=world.newcomer("new").assertion_key.jwks)
        assert await introspect(world, issuer, third, token) == INACTIVE
        again = await exchange(world, issuer, third, token)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
        with pytest.raises(Refused) as refused:
            authenticator.authenticate(*call, world.snapshot(), world.clock.now())
        assert refused.value.reason == RefusalReason.REFUSAL_REASON_CLIENT_NOT_ACTIVE


async def test_exchanged_token_opens_no_endpoint_here_once_its_source_is_removed(
    world: World, sister: Identity
) -> None:
    grant_id, _ = grant(world, SISTER)
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity, scope=GRANT_QUERY)
        token = (await exchange(world, issuer, sister, subject)).json()["access_token"]

        async def status() -> int:
            async with httpx.AsyncClient(verify=world.trust(sister.certificate)) as http:
                answer = await http.get(
                    f"{issuer}/oauth/grants/{grant_id}",
                    headers={"Authorization": f"Bearer {token}"},
                )
            return answer.status_code

        assert await status() == 200
        world.change("client", CLIENT, removed_at=world.clock.now())
        assert await status() == 401


async def test_exchanged_token_keeps_what_a_person_approved_its_managed_scopes_for(
    world: World,
) -> None:
    define(world, READ)
    grant_id, _ = grant(world, CLIENT, MANAGED)
    async with world.serving() as issuer:
        subject = granted_token(world, issuer, world.identity, grant_id, scope=MANAGED, opens=READ)
        define(world, READ, BROWSE)
        claims = claims_of(await exchange(world, issuer, world.identity, subject))
    assert (claims["scope"], claims["opens"]) == (MANAGED, READ)


async def test_ending_a_grant_ends_what_was_exchanged_from_its_tokens(world: World) -> None:
    grant_id, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        subject = granted_token(world, issuer, world.identity, grant_id)
        exchanged = (await exchange(world, issuer, world.identity, subject)).json()["access_token"]
        await revoke(world, issuer, world.identity, refresh_token)
        assert await introspect(world, issuer, world.identity, exchanged) == INACTIVE


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token_type": ""}, "invalid_request"),
        ({"subject_token_type": ACCESS_TOKEN.replace("access", "refresh")}, "invalid_request"),
        ({"requested_token_type": ACCESS_TOKEN.replace("access", "refresh")}, "invalid_request"),
        ({"audience": "https://other.test"}, "invalid_target"),
        ({"resource": f"{AUDIENCE}/more"}, "invalid_target"),
    ],
)
async def test_malformed_request_is_refused(world: World, more: dict[str, str], error: str) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        answer = await exchange(world, issuer, world.identity, subject, **more)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert subject not in answer.text


async def test_request_may_name_the_one_audience_and_the_one_type(world: World) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        answer = await exchange(
            world,
            issuer,
            world.identity,
            subject,
            audience=AUDIENCE,
            resource=AUDIENCE,
            subject_token_type="urn:ietf:params:oauth:token-type:jwt",
            requested_token_type=ACCESS_TOKEN,
        )
    assert claims_of(answer)["aud"] == AUDIENCE


async def test_client_not_registered_for_it_exchanges_nothing(world: World) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        world.change("client", CLIENT, grant_types=frozenset({"client_credentials"}))
        answer = await exchange(world, issuer, world.identity, subject)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_suspended_operator_exchanges_nothing(world: World) -> None:
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        world.change("operator", OPERATOR, state=OperatorState.OPERATOR_STATE_SUSPENDED)
        answer = await exchange(world, issuer, world.identity, subject)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_exchanged_token_is_bound_to_the_key_its_client_proves(
    world: World, sister: Identity
) -> None:
    world.change("client", SISTER, binding="dpop")
    key = new_key()
    async with world.serving() as issuer:
        subject = await token_of(world, issuer, world.identity)
        without = await exchange(world, issuer, sister, subject)
        now = world.clock.now()
        proof = proof_of(key, f"{issuer}/oauth/token", now, nonce=world.nonces.current(now))
        answer = await exchange(world, issuer, sister, subject, proof=proof)
    assert without.json()["error"] == "invalid_dpop_proof"
    assert answer.json()["token_type"] == "DPoP"
    assert claims_of(answer)["cnf"] == {"jkt": key.thumbprint()}


_NAMES = st.frozensets(st.sampled_from(["a:a", "b:b", "c:c"]))


@given(asked=_NAMES, held=_NAMES)
def test_scope_of_an_exchange_is_what_is_asked_for_or_all_that_is_held(
    asked: frozenset[str], held: frozenset[str]
) -> None:
    try:
        scope = narrowed_scope(" ".join(asked), held)
    except InvalidScopeError:
        assert not held or not asked <= held
        return
    assert frozenset(scope.split()) == (asked or held)
    assert asked <= held
