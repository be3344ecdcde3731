"""Tokens and grants of a world, and what its endpoints say of them."""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx
from joserfc.jwk import ECKey

from gateway.oauth.grants import SqlOAuthGrants, insert_code
from gateway.oauth.secret import new_secret
from gateway.oauth.terms import CodeTerms, GrantTerms
from operators.authorization_details import AuthorizationDetail
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition
from tests.oauth.assertions import good_form
from tests.oauth.world import AUDIENCE, OPERATOR, READ, TOKEN_SECONDS, Identity, World

PERSON = "representative:wang"
MANAGED = "credit.bundle:use"
GRANT_SECONDS = 86_400
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


async def token_of(world: World, issuer: str, identity: Identity, **more: str) -> str:
    """Return a machine token of a client, asked for at the token endpoint."""
    form = good_form(identity, issuer, world.clock.now(), **more)
    response = await world.post(issuer, form, identity.certificate)
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


async def ask(
    world: World,
    issuer: str,
    path: str,
    identity: Identity,
    fields: Mapping[str, str],
    accept: str = "*/*",
    proof: str = "",
) -> httpx.Response:
    """Post a form with the client's authentication to an endpoint."""
    form = good_form(identity, issuer, world.clock.now())
    del form["grant_type"]
    headers = {"Accept": accept, **({"DPoP": proof} if proof else {})}
    http = world.http(identity.certificate)
    return await http.post(f"{issuer}{path}", data={**form, **fields}, headers=headers)


async def revoke(
    world: World, issuer: str, identity: Identity, token: str, **more: str
) -> httpx.Response:
    """Ask for a token's revocation."""
    return await ask(world, issuer, "/oauth/revoke", identity, {"token": token, **more})


async def introspect(
    world: World, issuer: str, identity: Identity, token: str, **more: str
) -> dict[str, Any]:
    """Return what the introspection endpoint says of a token."""
    response = await ask(world, issuer, "/oauth/introspect", identity, {"token": token, **more})
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def exchange(
    world: World, issuer: str, identity: Identity, subject: str, *, proof: str = "", **more: str
) -> httpx.Response:
    """Ask for a token in exchange for another."""
    fields = {
        "grant_type": EXCHANGE,
        "subject_token": subject,
        "subject_token_type": ACCESS_TOKEN,
        **more,
    }
    given = {name: value for name, value in fields.items() if value}
    return await ask(world, issuer, "/oauth/token", identity, given, proof=proof)


def grant(
    world: World,
    client_id: str,
    scopes: str = READ,
    details: tuple[AuthorizationDetail, ...] = (),
) -> tuple[str, str]:
    """Have a person approve a client, and return grant id and refresh token."""
    now = world.clock.now()
    terms = GrantTerms(
        principal=PERSON, scope=scopes, details=details, auth_time=now - 5, acr="urn:test:strong"
    )
    code = new_secret()
    with world.engine.begin() as connection:
        insert_code(
            connection,
            code,
            client_id,
            CodeTerms(
                redirect_uri="https://client.test/back", code_challenge="", jkt=None, granted=terms
            ),
            now,
        )
    grants = SqlOAuthGrants(world.engine)
    issued = grants.code(code, client_id, now)
    assert issued is not None
    refresh_token = new_secret()
    assert grants.redeem(issued, refresh_token, now + GRANT_SECONDS, now)
    return issued.grant_id, refresh_token


def define(world: World, *scopes: str) -> None:
    """Have the managed scope of the tests stand for ``scopes``, and granted to the operator."""
    definition = ScopeDefinition(
        name=MANAGED, scopes=frozenset(scopes), title_zh="一组", title_en="A bundle"
    )
    world.record(SCOPE_DEFINITION, MANAGED, definition)
    if "grant-managed" not in world.snapshot().authority.grants:
        world.grant("grant-managed", OPERATOR, MANAGED)


def key_of(identity: Identity) -> str:
    """Return the thumbprint of the key a client authenticates by."""
    return ECKey.import_key(identity.assertion_key.key).thumbprint()


def signed_token(world: World, issuer: str, identity: Identity, **changed: Any) -> str:
    """Return a token as the server signs it; ``changed`` replaces claims, None removes."""
    now = world.clock.now()
    claims = {
        "iss": issuer,
        "sub": identity.client_id,
        "aud": AUDIENCE,
        "client_id": identity.client_id,
        "scope": READ,
        "iat": now,
        "exp": now + TOKEN_SECONDS,
        "jti": secrets.token_urlsafe(16),
        "cnf": {"x5t#S256": identity.certificate.thumbprint},
        "client_key": key_of(identity),
        **changed,
    }
    told = {name: value for name, value in claims.items() if value is not None}
    return world.keys.sign(world.snapshot().signing_keys, told, "at+jwt", now)


def granted_token(
    world: World, issuer: str, identity: Identity, grant_id: str, **changed: Any
) -> str:
    """Return an access token of a grant."""
    return signed_token(
        world,
        issuer,
        identity,
        sub=PERSON,
        grant_id=grant_id,
        auth_time=world.clock.now() - 5,
        acr="urn:test:strong",
        **changed,
    )
