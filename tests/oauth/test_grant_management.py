"""Grant Management for OAuth 2.0: a client reads and ends its grants, and nobody else's."""

from typing import Any

import httpx
import pytest

from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from gateway.oauth.client import GRANT_QUERY, GRANT_REVOKE
from gateway.pki.development import Issued
from operators.authorization_details import AuthorizationDetail
from tests.oauth.proofs import new_key, proof_of
from tests.oauth.tokens import (
    GRANT_SECONDS,
    grant,
    granted_token,
    introspect,
    revoke,
    signed_token,
    token_of,
)
from tests.oauth.world import AUDIENCE, BROWSE, CLIENT, OPERATOR, READ, World, on_both_stores

DETAIL = {"type": "public_credit_data", "items": ["penalty"]}
UNKNOWN = {
    "error": "invalid_request",
    "error_description": "The client has no grant of this id that stands.",
}


async def call(
    world: World,
    issuer: str,
    method: str,
    grant_id: str,
    token: str,
    *,
    certificate: Issued | None = None,
    scheme: str = "Bearer",
    **headers: str,
) -> httpx.Response:
    """Call the grant's URL over the client's own certificate, unless another is given."""
    shown = certificate or world.identity.certificate
    return await world.http(shown).request(
        method,
        f"{issuer}/oauth/grants/{grant_id}",
        headers={"Authorization": f"{scheme} {token}".strip(), **headers},
    )


@on_both_stores
async def test_client_reads_what_was_approved(world: World) -> None:
    detail = AuthorizationDetail.model_validate(DETAIL)
    grant_id, _ = grant(world, CLIENT, f"{READ} {BROWSE}", (detail,))
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=GRANT_QUERY)
        answer = await call(world, issuer, "GET", grant_id, token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "scopes": [{"scope": f"{BROWSE} {READ}", "resources": [AUDIENCE]}],
        "claims": [],
        "authorization_details": [DETAIL],
    }


@on_both_stores
async def test_client_ends_a_grant_with_all_its_tokens(world: World) -> None:
    grant_id, refresh_token = grant(world, CLIENT)
    kept_id, kept = grant(world, CLIENT)
    async with world.serving() as issuer:
        access = granted_token(world, issuer, world.identity, grant_id)
        token = await token_of(world, issuer, world.identity, scope=f"{GRANT_QUERY} {GRANT_REVOKE}")
        answer = await call(world, issuer, "DELETE", grant_id, token)
        assert (answer.status_code, answer.content) == (204, b"")
        for ended in (access, refresh_token):
            assert await introspect(world, issuer, world.identity, ended) == {"active": False}
        assert (await introspect(world, issuer, world.identity, kept))["active"]
        for method in ("GET", "DELETE"):
            again = await call(world, issuer, method, grant_id, token)
            assert (again.status_code, again.json()) == (404, UNKNOWN)
        assert (await call(world, issuer, "GET", kept_id, token)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_another_clients_grant_is_answered_like_none(world: World, method: str) -> None:
    sister = world.newcomer("alpha-two")
    world.register(sister, ClientRole.CLIENT_ROLE_OPERATOR, OPERATOR)
    theirs, refresh_token = grant(world, "alpha-two")
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=f"{GRANT_QUERY} {GRANT_REVOKE}")
        for grant_id in (theirs, "A" * 43, "x" * 500, "%00", "a.b", "..%2ftoken"):
            answer = await call(world, issuer, method, grant_id, token)
            assert answer.status_code == 404, grant_id
        assert (await call(world, issuer, method, theirs, token)).json() == UNKNOWN
        assert (await introspect(world, issuer, sister, refresh_token))["active"]


@on_both_stores
async def test_grant_that_is_over_is_answered_like_none(world: World) -> None:
    grant_id, _ = grant(world, CLIENT)
    world.clock.seconds += GRANT_SECONDS
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=GRANT_QUERY)
        assert (await call(world, issuer, "GET", grant_id, token)).status_code == 404


@pytest.mark.parametrize(
    ("method", "scope"),
    [("GET", GRANT_REVOKE), ("DELETE", GRANT_QUERY), ("GET", READ), ("DELETE", READ)],
)
async def test_token_without_the_scope_is_refused(world: World, method: str, scope: str) -> None:
    grant_id, refresh_token = grant(world, CLIENT)
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=scope)
        answer = await call(world, issuer, method, grant_id, token)
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert (await introspect(world, issuer, world.identity, refresh_token))["active"]


async def test_scopes_of_grants_are_had_by_name_and_by_operators_clients_alone(
    world: World,
) -> None:
    async with world.serving() as issuer:
        everything = await token_of(world, issuer, world.identity)
        told = await introspect(world, issuer, world.identity, everything)
        assert told["scope"] == f"{BROWSE} {READ}"
        with pytest.raises(AssertionError, match="invalid_scope"):
            await token_of(world, issuer, world.administrator, scope=GRANT_QUERY)


async def test_call_without_token_is_challenged(world: World) -> None:
    grant_id, _ = grant(world, CLIENT)
    async with world.serving() as issuer:
        for scheme, token in (("Basic", "YTpi"), ("Bearer", ""), ("", "")):
            answer = await call(world, issuer, "GET", grant_id, token, scheme=scheme)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_token_that_does_not_stand_is_refused(world: World) -> None:
    grant_id, _ = grant(world, CLIENT)
    now = world.clock.now()
    async with world.serving() as issuer:
        revoked = await token_of(world, issuer, world.identity, scope=GRANT_QUERY)
        await revoke(world, issuer, world.identity, revoked)
        claims: list[dict[str, Any]] = [
            {"exp": now},
            {"aud": "https://other.test"},
            {"iss": "https://other.test"},
            {"cnf": {"x5t#S256": "A" * 43}},
            {"cnf": {"jkt": "A" * 43}},
        ]
        tokens = [
            signed_token(world, issuer, world.identity, scope=GRANT_QUERY, **changed)
            for changed in claims
        ]
        for token in (revoked, "nothing", *tokens):
            answer = await call(world, issuer, "GET", grant_id, token)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            assert answer.headers["cache-control"] == "no-store"


async def test_stolen_token_does_not_work_with_another_certificate(world: World) -> None:
    grant_id, _ = grant(world, CLIENT)
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=GRANT_QUERY)
        stolen = await call(
            world, issuer, "GET", grant_id, token, certificate=world.administrator.certificate
        )
        assert (stolen.status_code, stolen.json()["error"]) == (401, "invalid_token")
        own = await call(world, issuer, "GET", grant_id, token)
        assert own.status_code == 200


@pytest.mark.parametrize(
    ("kind", "id_", "fields", "status"),
    [
        ("client", CLIENT, {"removed_at": 1}, 401),
        ("client", CLIENT, {"certificate_thumbprints": frozenset({"A" * 43})}, 401),
        ("operator", OPERATOR, {"state": OperatorState.OPERATOR_STATE_SUSPENDED}, 403),
    ],
)
async def test_client_that_may_not_act_is_refused(
    world: World, kind: str, id_: str, fields: dict[str, Any], status: int
) -> None:
    grant_id, _ = grant(world, CLIENT)
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=GRANT_REVOKE)
        world.change(kind, id_, **fields)
        answer = await call(world, issuer, "DELETE", grant_id, token)
    assert answer.status_code == status


async def test_token_bound_to_a_key_needs_a_proof_of_it(world: World) -> None:
    world.change("client", CLIENT, binding="dpop")
    grant_id, _ = grant(world, CLIENT)
    key, other = new_key(), new_key()
    now = world.clock.now()
    nonce = world.nonces.current(now)
    async with world.serving() as issuer:
        url = f"{issuer}/oauth/grants/{grant_id}"
        token = signed_token(
            world,
            issuer,
            world.identity,
            scope=GRANT_QUERY,
            cnf={"jkt": key.thumbprint()},
        )
        good = proof_of(key, url, now, token, htm="GET", nonce=nonce)

        async def answered(*proofs: str, scheme: str = "DPoP") -> tuple[int, str]:
            answer = await world.http(None).get(
                url,
                headers=[
                    ("Authorization", f"{scheme} {token}"),
                    *(("DPoP", each) for each in proofs),
                ],
            )
            if answer.status_code == 200:
                return 200, ""
            assert answer.headers["www-authenticate"].startswith(f"{scheme} ")
            return answer.status_code, answer.json()["error"]

        assert await answered() == (401, "invalid_dpop_proof")
        assert await answered(good, good) == (401, "invalid_dpop_proof")
        for changed in ({"htm": "DELETE"}, {"ath": "A" * 43}, {"htu": f"{issuer}/oauth/token"}):
            claims = {"htm": "GET", "nonce": nonce, **changed}
            proof = proof_of(key, url, now, token, **claims)
            assert await answered(proof) == (401, "invalid_dpop_proof")
        stale = proof_of(key, url, now, token, htm="GET")
        assert await answered(stale) == (401, "use_dpop_nonce")
        foreign = proof_of(other, url, now, token, htm="GET", nonce=nonce)
        assert await answered(foreign) == (401, "invalid_token")
        assert await answered(scheme="Bearer") == (401, "invalid_token")
        assert await answered(good) == (200, "")
        assert await answered(good) == (401, "invalid_dpop_proof"), "a proof is used once"


async def test_other_methods_are_not_allowed(world: World) -> None:
    grant_id, _ = grant(world, CLIENT)
    async with world.serving() as issuer:
        token = await token_of(world, issuer, world.identity, scope=GRANT_QUERY)
        for method in ("POST", "PUT", "PATCH"):
            assert (await call(world, issuer, method, grant_id, token)).status_code == 405
        assert (await call(world, issuer, "HEAD", grant_id, token)).status_code == 200
