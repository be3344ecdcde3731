"""Endpoints that clients post forms to, behind Starlette: read, answer in a thread."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.oauth.context import presented_thumbprint
from gateway.oauth.request import TokenRequest, read_form
from gateway.oauth.server import StarletteAuthorizationServer


def form_endpoint(
    server: StarletteAuthorizationServer,
    url: str,
    answer: Callable[[TokenRequest], Response],
    *,
    needed: str | None,
) -> Route:
    """Return the route of the endpoint at ``url``.

    ``answer`` may block on the store; a form without the parameter ``needed``, if any,
    does not come to it.
    """

    async def serve(request: Request) -> Response:
        try:
            fields = await read_form(request, needed)
        except OAuth2Error as error:
            return server.refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)
        asked = TokenRequest(url, request.headers, fields, presented_thumbprint(request))
        return await asyncio.to_thread(answer, asked)

    return Route(urlsplit(url).path, serve, methods=["POST"])
