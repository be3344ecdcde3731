"""The authorisation server's HTTP application: token, metadata, keys, health."""

import asyncio
from typing import Final

from authlib.oauth2 import OAuth2Error
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creditgate.refusal import Refused, reason_name
from gateway.oauth.context import AuthorizationContext, presented_thumbprint
from gateway.oauth.request import TokenRequest, read_form
from gateway.oauth.rfc7523 import PrivateKeyJwtOverMutualTls
from gateway.oauth.rfc8414 import Endpoints, metadata
from gateway.oauth.rfc9068 import BoundTokenGenerator
from gateway.oauth.server import StarletteAuthorizationServer

_NO_STORE: Final = {"Cache-Control": "no-store"}
_PUBLIC: Final = {"Cache-Control": "public, max-age=60"}


def build_app(context: AuthorizationContext) -> Starlette:
    """Return the application."""
    return Starlette(
        routes=[*_token_routes(context), *_public_routes(context)],
        exception_handlers={Refused: _unavailable},
    )


def _token_routes(context: AuthorizationContext) -> list[Route]:
    endpoints = context.endpoints
    server = StarletteAuthorizationServer(
        context.client,
        PrivateKeyJwtOverMutualTls(
            (endpoints.issuer, endpoints.token), context.replay, context.clock
        ),
        BoundTokenGenerator(
            endpoints.issuer, context.audience, context.keys, context.clock, context.token_seconds
        ),
    )

    async def token(request: Request) -> Response:
        try:
            fields = await read_form(request)
        except OAuth2Error as error:
            return server.refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)
        asked = TokenRequest(
            endpoints.token, request.headers, fields, presented_thumbprint(request)
        )
        return await asyncio.to_thread(server.token_response, asked)

    return [Route(Endpoints.path(endpoints.token), token, methods=["POST"])]


def _public_routes(context: AuthorizationContext) -> list[Route]:
    endpoints = context.endpoints

    async def jwks(_: Request) -> Response:
        keys = list(context.authority().signing_keys.values())
        return JSONResponse({"keys": keys}, headers=_PUBLIC)

    async def describe(_: Request) -> Response:
        return JSONResponse(metadata(endpoints), headers=_PUBLIC)

    async def health(_: Request) -> Response:
        context.authority()
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    return [
        Route(Endpoints.path(endpoints.jwks), jwks),
        Route(endpoints.metadata_path, describe),
        Route("/healthz", health),
    ]


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
