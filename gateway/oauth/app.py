"""The authorisation server's HTTP application: token, metadata, keys, health."""

import asyncio
from collections.abc import Callable
from typing import Final

from authlib.oauth2 import OAuth2Error
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creditgate.refusal import Refused, reason_name
from gateway.clock import Clock
from gateway.oauth.client import AuthoritySnapshot, RegisteredClient, registered_client
from gateway.oauth.connection import PEER_CERTIFICATE
from gateway.oauth.replay import ReplayCache
from gateway.oauth.request import TokenRequest, read_form
from gateway.oauth.rfc7523 import PrivateKeyJwtOverMutualTls
from gateway.oauth.rfc8414 import Endpoints, metadata
from gateway.oauth.rfc9068 import BoundTokenGenerator
from gateway.oauth.server import StarletteAuthorizationServer
from gateway.oauth.signing import SigningKeys
from gateway.pki.thumbprint import thumbprint_of_der

_NO_STORE: Final = {"Cache-Control": "no-store"}
_PUBLIC: Final = {"Cache-Control": "public, max-age=60"}


def build_app(
    *,
    authority: Callable[[], AuthoritySnapshot],
    clock: Clock,
    keys: SigningKeys,
    replay: ReplayCache,
    issuer: str,
    audience: str,
    token_seconds: int,
) -> Starlette:
    """Return the application.

    ``authority`` gives the present snapshot and raises Refused when it is not known;
    ``issuer`` is the https URL clients know the server by (RFC 8414), ``audience`` the
    ``aud`` of its tokens, ``token_seconds`` their life.
    """
    endpoints = Endpoints(issuer)

    def query_client(client_id: str) -> RegisteredClient | None:
        return registered_client(authority(), client_id, clock.now())

    server = StarletteAuthorizationServer(
        query_client,
        PrivateKeyJwtOverMutualTls((endpoints.issuer, endpoints.token), replay, clock),
        BoundTokenGenerator(issuer, audience, keys, clock, token_seconds),
    )

    async def token(request: Request) -> Response:
        try:
            fields = await read_form(request)
        except OAuth2Error as error:
            return server.refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)
        certificate: bytes | None = request.scope["state"].get(PEER_CERTIFICATE)
        thumbprint = None if certificate is None else thumbprint_of_der(certificate)
        asked = TokenRequest(endpoints.token, request.headers, fields, thumbprint)
        return await asyncio.to_thread(server.token_response, asked)

    async def jwks(_: Request) -> Response:
        return JSONResponse({"keys": list(authority().signing_keys.values())}, headers=_PUBLIC)

    async def describe(_: Request) -> Response:
        return JSONResponse(metadata(endpoints), headers=_PUBLIC)

    async def health(_: Request) -> Response:
        authority()
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    return Starlette(
        routes=[
            Route(Endpoints.path(endpoints.token), token, methods=["POST"]),
            Route(Endpoints.path(endpoints.jwks), jwks),
            Route(endpoints.metadata_path, describe),
            Route("/healthz", health),
        ],
        exception_handlers={Refused: _unavailable},
    )


async def _unavailable(_: Request, error: Exception) -> Response:
    """Answer that the server cannot decide now: it refuses rather than guesses (G4).

    RFC 6749 has no code for it in section 5.2; temporarily_unavailable is that of 4.1.2.1.
    """
    if not isinstance(error, Refused):
        raise error
    body = {
        "error": "temporarily_unavailable",
        "error_description": error.message,
        "reason": reason_name(error.reason),
    }
    return JSONResponse(
        body, 503, headers={**_NO_STORE, "Retry-After": str(error.retry_after or 1)}
    )
