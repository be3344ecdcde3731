"""The authorisation endpoint (RFC 6749 section 3.1), as browsers come to it from clients.

All it takes is client_id and request_uri; what else a browser brings is not read
(RFC 9126 section 4). Nobody is sent anywhere before the request of an authenticated
client says where: what is wrong until then is shown here (RFC 9700 section 4.11).
"""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.oauth.authorization_desk import AuthorizationDesk
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.uncached import NO_STORE

_HEADERS: Final = {
    **NO_STORE,
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PAGE: Final = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>授权请求无效 · Invalid authorisation request</title>
<main>
<h1>授权请求无效</h1>
<p>该授权请求不存在、已过期或已使用。请返回您来自的应用，重新发起授权。</p>
<h1 lang="en">Invalid authorisation request</h1>
<p lang="en">This request is unknown, over or used. Go back to the application you came
from and begin again.</p>
<p lang="en">For its developers (invalid_request): push the request first (RFC 9126), then
send the browser here with client_id and request_uri alone, each once.</p>
</main>
</html>
"""


def authorization_route(context: AuthorizationContext, desk: AuthorizationDesk) -> Route:
    """Return the route of the authorisation endpoint."""

    async def authorize(request: Request) -> Response:
        named = [
            request.query_params.getlist(parameter) for parameter in ("client_id", "request_uri")
        ]
        url = None
        if all(len(values) == 1 for values in named):
            (client_id,), (request_uri,) = named
            url = await asyncio.to_thread(desk.opened, client_id, request_uri)
        if url is None:
            return HTMLResponse(_PAGE, 400, headers=_HEADERS)
        # FAPI 2.0 section 5.3.2.2: 303, which never repeats a form elsewhere.
        return RedirectResponse(url, 303, headers=_HEADERS)

    return Route(urlsplit(context.endpoints.authorization).path, authorize, methods=["GET"])
