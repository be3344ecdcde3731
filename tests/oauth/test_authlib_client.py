"""Authlib's own client, as far as it goes: both shapes, PAR by hand, no DPoP.

It was written by others for any server; what it is told here is what a developer reads
from the metadata, and that an assertion's audience is the issuer (FAPI 2.0 section
5.3.2.1, point 8).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from gateway.oauth.interactions import Approval
from operators.model import ClientAuthentication
from tests.attacks.ground import READ, SERVED, Cast, Ground, standing_on
from tests.attacks.inside import seen_inside
from tests.installation import Installation, eventually
from tests.parties import MACHINE, REDIRECT, WITH_CODE, Algorithm, Party, enrolled

PERSON = "representative:legal-person"
EVERY: tuple[tuple[Algorithm, ClientAuthentication], ...] = (
    ("ES256", "private_key_jwt"),
    ("PS256", "private_key_jwt"),
    ("EdDSA", "private_key_jwt"),
    ("ES256", "tls_client_auth"),
)
VERIFIER = "v" * 64
Client = Any
"""An AsyncOAuth2Client; its stub does not say that it is a client of httpx."""


@pytest.fixture
def parties(embedded: Installation) -> list[Party]:
    """A client of each kind."""
    return [
        enrolled(
            embedded,
            f"authlib-{number}",
            algorithm=algorithm,
            authentication=authentication,
            grant_types=(*MACHINE, *WITH_CODE),
        )
        for number, (algorithm, authentication) in enumerate(EVERY)
    ]


@pytest.fixture
async def ground(
    embedded: Installation, parties: list[Party], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ground]:
    """A gateway that runs, and what people decide at it."""
    del parties
    cast = Cast.enrolled_in(embedded)
    with seen_inside(monkeypatch) as inside:
        async with embedded.running() as gateway, standing_on(gateway, cast, inside) as ground:
            yield ground


def client_of(ground: Ground, party: Party) -> Client:
    """Return Authlib's client for ``party``."""
    tls = ssl.create_default_context(cafile=ground.gateway.installation.home.ca)
    tls.load_cert_chain(party.folder / "certificate.pem", party.folder / "key.pem")
    by_key = party.record.authentication == "private_key_jwt"
    # RFC 8705 section 2.1.1: who shows a certificate names itself, as a public client does.
    method: Any = PrivateKeyJWT(ground.issuer, alg=party.algorithm) if by_key else "none"
    client = AsyncOAuth2Client(
        party.client_id,
        party.key if by_key else None,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope=READ,
        redirect_uri=REDIRECT,
        code_challenge_method="S256",
        verify=tls,
    )
    if by_key:
        client.register_client_auth_method(method)
    return client


async def metadata_of(ground: Ground, client: Client) -> dict[str, Any]:
    """Return the server's metadata."""
    url = f"{ground.issuer}/.well-known/oauth-authorization-server"
    return (await client.request("GET", url, withhold_token=True)).json()


async def came_back(ground: Ground, client: Client, metadata: dict[str, Any]) -> tuple[str, str]:
    """Go to a person and back; return the authorisation response and the state it is for."""
    endpoint = metadata["authorization_endpoint"]
    url, state = client.create_authorization_url(endpoint, code_verifier=VERIFIER)
    asked = dict(parse_qsl(urlsplit(url).query))
    assert asked["code_challenge"] == create_s256_code_challenge(VERIFIER)
    # Authlib names the client again where it authenticates.
    del asked["client_id"]
    pushed = await client.request(
        "POST",
        metadata["pushed_authorization_request_endpoint"],
        data=asked,
        auth=client.client_auth(client.token_endpoint_auth_method),
        withhold_token=True,
    )
    assert pushed.status_code == 201, pushed.text
    browser = await ground.https(None)
    query = {"client_id": client.client_id, "request_uri": pushed.json()["request_uri"]}
    answer = await browser.get(endpoint, params=query)
    interaction_id = answer.headers["location"].rpartition("/")[2]
    approval = Approval(PERSON, frozenset({READ}), (), ground.now(), "urn:test:acr")
    back = await asyncio.to_thread(ground.inside.interactions.approve, interaction_id, approval)
    assert back is not None
    return back, state


async def test_authlib_goes_machine_to_machine_from_token_to_revocation(
    ground: Ground, parties: list[Party]
) -> None:
    for party in parties:
        async with client_of(ground, party) as client:
            metadata = await metadata_of(ground, client)
            token = await client.fetch_token(
                metadata["token_endpoint"], grant_type="client_credentials"
            )
            assert await ground.query(party, token["access_token"]) == SERVED
            told = await client.introspect_token(
                metadata["introspection_endpoint"], token=token["access_token"]
            )
            assert told.json()["active"] is True
            await client.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])

            async def refused(party: Party = party, token: dict[str, Any] = token) -> bool:
                return await ground.query(party, token["access_token"]) == "TOKEN_REVOKED"

            await eventually(refused, 1)


async def test_authlib_goes_through_the_code_flow_and_refreshes(
    ground: Ground, parties: list[Party]
) -> None:
    for party in parties:
        async with client_of(ground, party) as client:
            metadata = await metadata_of(ground, client)
            back, state = await came_back(ground, client, metadata)
            token = await client.fetch_token(
                metadata["token_endpoint"],
                authorization_response=back,
                state=state,
                code_verifier=VERIFIER,
            )
            assert await ground.query(party, token["access_token"]) == SERVED
            refreshed = await client.refresh_token(metadata["token_endpoint"])
            assert refreshed["access_token"] != token["access_token"]
            assert await ground.query(party, refreshed["access_token"]) == SERVED


async def test_authlib_is_told_why_in_the_terms_it_knows(
    ground: Ground, parties: list[Party]
) -> None:
    async with client_of(ground, parties[0]) as client:
        metadata = await metadata_of(ground, client)
        back, state = await came_back(ground, client, metadata)
        with pytest.raises(OAuthError) as wrong:
            await client.fetch_token(
                metadata["token_endpoint"],
                authorization_response=back,
                state=state,
                code_verifier="w" * 64,
            )
        assert wrong.value.error == "invalid_grant"
        with pytest.raises(OAuthError) as wide:
            await client.fetch_token(
                metadata["token_endpoint"],
                grant_type="client_credentials",
                scope="operators:create",
            )
    assert wide.value.error == "invalid_scope"
