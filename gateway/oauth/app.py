"""The authorisation server's HTTP application: token, metadata, keys, health."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creditgate.refusal import Refused, reason_name
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.failure_kind import failure_kind
from gateway.oauth import rfc9396
from gateway.oauth.approved_tokens import ApprovedTokens
from gateway.oauth.authorization_desk import AuthorizationDesk
from gateway.oauth.authorization_endpoint import authorization_route
from gateway.oauth.code_grant import CodeGrant, S256Challenge
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.dpop import DpopBinding, DpopProofs, FreshNonces
from gateway.oauth.form_endpoint import form_endpoint
from gateway.oauth.grant_management import grant_route
from gateway.oauth.grants import SqlOAuthGrants
from gateway.oauth.interactions import Interactions
from gateway.oauth.keys import CACHED_SECONDS
from gateway.oauth.pushed_requests import SqlPushedRequests
from gateway.oauth.refresh_grant import RefreshGrant
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.oauth.rfc7009 import revocation_route
from gateway.oauth.rfc7523 import PrivateKeyJwtOverMutualTls
from gateway.oauth.rfc7591 import registration_route
from gateway.oauth.rfc7592 import configuration_route
from gateway.oauth.rfc7662 import introspection_route
from gateway.oauth.rfc8414 import Endpoints, metadata
from gateway.oauth.rfc8693 import (
    NO_EXCHANGES,
    ExchangeDesk,
    SubjectExchange,
    TokenExchangeGrant,
)
from gateway.oauth.rfc9068 import BoundTokenGenerator
from gateway.oauth.rfc9126 import pushed_request_route
from gateway.oauth.rfc9396 import DetailsDesk
from gateway.oauth.server import StarletteAuthorizationServer
from gateway.oauth.uncached import NO_STORE

_log = logging.getLogger(__name__)
_PUBLIC: Final = {"Cache-Control": f"public, max-age={CACHED_SECONDS}"}


def no_pages(interactions: Interactions) -> Sequence[Route]:
    """Return no routes: nobody can approve anything."""
    del interactions
    return ()


def build_app(
    context: AuthorizationContext,
    pages: Callable[[Interactions], Sequence[Route]] = no_pages,
    exchanges: Mapping[str, SubjectExchange] = NO_EXCHANGES,
) -> Starlette:
    """Return the application; ``pages`` gives the routes where people decide interactions,
    ``exchanges`` decide for subject tokens of other types than this server's own."""
    binding = DpopBinding(DpopProofs(context.nonces, context.replay), context.clock)
    server = _server(context, binding)
    token = form_endpoint(
        server, context.endpoints.token, server.token_response, needed="grant_type"
    )
    server.register_grant(TokenExchangeGrant, [ExchangeDesk(context, server.details, exchanges)])
    grants = SqlOAuthGrants(context.engine)
    approved = ApprovedTokens(context, grants, server.details)
    server.register_grant(CodeGrant, [S256Challenge(), approved])
    server.register_grant(RefreshGrant, [approved])
    requests = SqlPushedRequests(context.engine)
    desk = AuthorizationDesk(context, requests)
    revocations = SqlRevocationLog(context.engine)
    app = Starlette(
        routes=[
            token,
            pushed_request_route(context, server, binding, requests),
            authorization_route(context, desk),
            *pages(desk),
            revocation_route(context, server, revocations, grants),
            introspection_route(context, server, grants),
            grant_route(context, grants),
            *_public_routes(context),
            registration_route(context),
            configuration_route(context),
            *rfc9396.routes(context.endpoints),
        ],
        exception_handlers={
            Refused: _unavailable,
            DBAPIError: _store_failed,
            PoolTimeout: _store_failed,
        },
        middleware=[Middleware(FreshNonces, context.nonces, context.clock)],
    )
    # RFC 9700 section 4.12: a redirect would have what was posted sent once more, to a
    # place the request's Host header names.
    app.router.redirect_slashes = False
    return app


def _server(context: AuthorizationContext, binding: DpopBinding) -> StarletteAuthorizationServer:
    endpoints = context.endpoints
    return StarletteAuthorizationServer(
        context.client,
        PrivateKeyJwtOverMutualTls(endpoints.issuer, context.replay, context.clock),
        BoundTokenGenerator(
            endpoints.issuer, context.audience, context.keys, context.clock, context.token_seconds
        ),
        binding,
        DetailsDesk(context.authority, context.clock, context.audience, context.terms_faults),
        context.audience,
    )


def _public_routes(context: AuthorizationContext) -> list[Route]:
    endpoints = context.endpoints

    async def jwks(_: Request) -> Response:
        keys = list(context.authority().signing_keys.values())
        return JSONResponse({"keys": keys}, headers=_PUBLIC)

    async def describe(_: Request) -> Response:
        return JSONResponse(metadata(endpoints), headers=_PUBLIC)

    async def health(_: Request) -> Response:
        context.authority()
        # What serves is not taken off by a load balancer for what it cannot mend.
        unwell = context.soundness()
        told = {"status": "impaired", "detail": unwell} if unwell else {"status": "ok"}
        return JSONResponse(told, headers=NO_STORE)

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
    return JSONResponse(body, 503, headers={**NO_STORE, "Retry-After": str(error.retry_after or 1)})


async def _store_failed(request: Request, error: Exception) -> Response:
    """Answer that the store cannot be asked, and log it by type: a message holds rows."""
    _log.error("a store failed: %s", failure_kind(error))
    refused = Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "The store cannot be reached; nothing was changed, try again.",
        retry_after=1,
    )
    return await _unavailable(request, refused)
