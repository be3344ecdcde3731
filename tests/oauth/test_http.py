"""The HTTP side: limits, documents, and refusing when authority is not known."""

import asyncio
import json
import ssl
from dataclasses import replace

import httpx
import pytest

from creditgate.refusal import Refused
from creditgate.scopes import known_scopes
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.app import build_app
from gateway.oauth.connection import bound_socket, build_http_server
from gateway.oauth.jose import ALGORITHMS
from gateway.oauth.replay import SqlReplayCache
from operators.administrators import BASIC_ACR, STRONG_ACR
from tests.oauth.assertions import good_form
from tests.oauth.world import Snapshot, World

METHODS = ["private_key_jwt", "tls_client_auth"]
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def _raw(
    world: World, issuer: str, content: bytes, headers: dict[str, str]
) -> httpx.Response:
    http = world.http(world.identity.certificate)
    return await http.post(f"{issuer}/oauth/token", content=content, headers=headers)


async def test_metadata_describes_the_server(world: World) -> None:
    async with world.serving() as issuer, httpx.AsyncClient(verify=world.trust(None)) as http:
        response = await http.get(f"{issuer}/.well-known/oauth-authorization-server")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": True,
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_signing_alg_values_supported": ["ES256", "EdDSA"],
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "registration_endpoint": f"{issuer}/oauth/register",
        "grant_management_endpoint": f"{issuer}/oauth/grants",
        "grant_management_actions_supported": ["create", "query", "revoke"],
        "scopes_supported": sorted(
            {*known_scopes(), "grant_management_query", "grant_management_revoke"}
        ),
        "acr_values_supported": [BASIC_ACR, STRONG_ACR],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "jwt", "query.jwt"],
        "authorization_response_iss_parameter_supported": True,
        "authorization_signing_alg_values_supported": ["ES256", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": [
            "client_credentials",
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_details_types_supported": ["public_credit_data"],
        "authorization_details_schema_uri": f"{issuer}/oauth/schemas/public_credit_data.json",
    }


async def test_keys_are_published_without_their_private_part(world: World) -> None:
    second = world.issue_key()
    async with world.serving() as issuer, httpx.AsyncClient(verify=world.trust(None)) as http:
        keys = (await http.get(f"{issuer}/oauth/jwks")).json()["keys"]
    assert [set(key) for key in keys] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}] * 2
    assert keys[1]["kid"] == second


async def test_health_is_told_without_certificate(world: World) -> None:
    async with world.serving() as issuer, httpx.AsyncClient(verify=world.trust(None)) as http:
        response = await http.get(f"{issuer}/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_oversized_body_is_refused(world: World) -> None:
    async with world.serving() as issuer:
        declared = await _raw(world, issuer, b"a=" + b"x" * 20_000, FORM)

        async def chunks():
            for _ in range(20):
                yield b"a=" + b"x" * 1_000 + b"&"

        async with httpx.AsyncClient(verify=world.trust(world.identity.certificate)) as http:
            streamed = await http.post(f"{issuer}/oauth/token", content=chunks(), headers=FORM)
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert declared.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"grant_type=",
        b"client_id=alpha-one",
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type",
        b"grant_type=\xff\xfe",
        b"grant_type=%ff%fe",
        b"&".join(b"a%d=1" % number for number in range(40)),
    ],
)
async def test_malformed_form_is_an_invalid_request(world: World, content: bytes) -> None:
    async with world.serving() as issuer:
        response = await _raw(world, issuer, content, FORM)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert response.headers["cache-control"] == "no-store"


async def test_parameters_of_another_media_type_are_an_invalid_request(world: World) -> None:
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await _raw(
            world, issuer, json.dumps(form).encode(), {"content-type": "application/json"}
        )
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_parameters_in_the_query_do_not_count(world: World) -> None:
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(world.identity.certificate)) as http,
    ):
        form = good_form(world.identity, issuer, world.clock.now())
        response = await http.post(f"{issuer}/oauth/token", params=form, headers=FORM)
        read = await http.get(f"{issuer}/oauth/token", params=form)
    assert response.json()["error"] == "invalid_request"
    assert read.status_code == 405


async def test_nothing_is_decided_while_authority_is_unknown(world: World) -> None:
    def unknown() -> Snapshot:
        raise Refused(
            RefusalReason.REFUSAL_REASON_AUTHORITY_UNKNOWN, "Not known now.", retry_after=1
        )

    bound = bound_socket("127.0.0.1", 0)
    issuer = f"https://localhost:{bound.getsockname()[1]}"
    app = build_app(replace(world.context(issuer), authority=unknown))
    server = build_http_server(app, world.tls)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    form = good_form(world.identity, issuer, world.clock.now())
    async with httpx.AsyncClient(verify=world.trust(world.identity.certificate)) as http:
        token = await http.post(f"{issuer}/oauth/token", data=form)
        health = await http.get(f"{issuer}/healthz")
        keys = await http.get(f"{issuer}/oauth/jwks")
    server.stop()
    await task
    for response in (token, health, keys):
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["reason"] == "AUTHORITY_UNKNOWN"


async def test_store_that_cannot_be_asked_refuses(world: World) -> None:
    async with world.serving(SqlReplayCache(_broken(world))) as issuer:
        form = good_form(world.identity, issuer, world.clock.now())
        response = await world.post(issuer, form, world.identity.certificate)
    assert response.status_code == 503
    assert response.json()["reason"] == "TEMPORARILY_UNAVAILABLE"


def _broken(world: World):
    from sqlalchemy import create_engine

    return create_engine(f"sqlite:///{world.folder}/no/such/folder.db")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_of_the_profile_is_spoken(world: World, version: ssl.TLSVersion) -> None:
    context = world.trust(None)
    context.minimum_version = context.maximum_version = version
    async with world.serving() as issuer, httpx.AsyncClient(verify=context) as http:
        assert (await http.get(f"{issuer}/healthz")).status_code == 200


async def test_cipher_outside_the_profile_is_refused(world: World) -> None:
    context = world.trust(None)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-SHA384")
    async with world.serving() as issuer, httpx.AsyncClient(verify=context) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{issuer}/healthz")


async def test_certificate_of_another_authority_does_not_connect(world: World) -> None:
    from gateway.pki.development import make_ca, make_client_certificate

    now = world.clock.now()
    foreign = make_client_certificate(make_ca("foreign", now), world.identity.client_id, now)
    async with world.serving() as issuer:
        form = good_form(world.identity, issuer, now)
        with pytest.raises(httpx.TransportError):
            await world.post(issuer, form, foreign)


async def test_server_leaves_signals_to_its_program(world: World) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    async with world.serving() as issuer, httpx.AsyncClient(verify=world.trust(None)) as http:
        assert (await http.get(f"{issuer}/healthz")).status_code == 200
        assert signal.getsignal(signal.SIGTERM) is before


def test_taken_address_is_an_error_and_no_exit() -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            bound_socket("127.0.0.1", taken.getsockname()[1])
