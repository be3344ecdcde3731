"""Grant Management for OAuth 2.0 (OpenID draft 03): a client reads and ends its grants.

Section 6: the client calls with a token of its own, asked for with the scope
grant_management_query or grant_management_revoke.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.oauth.client import GRANT_QUERY, GRANT_REVOKE
from gateway.oauth.context import AuthorizationContext
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.grant_port import OAuthGrants, StandingGrant
from gateway.oauth.presented import Presented, PresentedTokens, TokenRefused
from gateway.oauth.uncached import NO_STORE

_SCOPE: Final[Mapping[str, str]] = {
    "GET": GRANT_QUERY,
    "HEAD": GRANT_QUERY,
    "DELETE": GRANT_REVOKE,
}
_GRANT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class GrantDesk:
    """Answers queries and revocations. Blocks on the store."""

    def __init__(self, context: AuthorizationContext, grants: OAuthGrants) -> None:
        self._context = context
        self._grants = grants
        self._tokens = PresentedTokens(context, DpopProofs(context.nonces, context.replay))

    def answer(self, shown: Presented, grant_id: str) -> Response:
        """Return the answer. Raises TokenRefused, Refused.

        Another client's grant is answered like one that never was (section 6.6).
        """
        token = self._tokens.verified(shown, _SCOPE[shown.method])
        now = self._context.clock.now()
        grant = self._grants.get(grant_id, now) if _GRANT_ID.fullmatch(grant_id) else None
        if grant is None or grant.client_id != token.client_id:
            return JSONResponse(
                {
                    "error": "invalid_request",
                    "error_description": "The client has no grant of this id that stands.",
                },
                404,
                headers=NO_STORE,
            )
        if shown.method == "DELETE":
            self._grants.revoke(grant_id, now)
            return Response(status_code=204, headers=NO_STORE)
        return JSONResponse(_described(grant, self._context.audience), headers=NO_STORE)


def _described(grant: StandingGrant, audience: str) -> dict[str, Any]:
    """Return the grant as section 6.4 has it; claims of people are in none."""
    return {
        "scopes": [{"scope": " ".join(sorted(grant.scopes)), "resources": [audience]}],
        "claims": [],
        "authorization_details": [detail.as_json() for detail in grant.details],
    }


def grant_route(context: AuthorizationContext, grants: OAuthGrants) -> Route:
    """Return the route of grants: the endpoint's URL, a slash and the grant's id."""
    desk = GrantDesk(context, grants)
    base = context.endpoints.grants

    async def serve(request: Request) -> Response:
        grant_id: str = request.path_params["grant_id"]
        try:
            shown = Presented.of(request, f"{base}/{grant_id}")
            return await asyncio.to_thread(desk.answer, shown, grant_id)
        except TokenRefused as refused:
            return refused.response()

    return Route(f"{urlsplit(base).path}/{{grant_id}}", serve, methods=["GET", "DELETE"])
