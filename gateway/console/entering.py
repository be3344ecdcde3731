"""Signing in at the console, and where to afterwards."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.signin.desk import SignInDesk
from gateway.signin.entrance import Entrance
from gateway.signin.sessions import LIFE_SECONDS

ENTRANCE: Final = Entrance(
    "/console", re.compile(r"/console(/[A-Za-z0-9-]{1,64}){0,3}"), "__Host-creditgate-console"
)
"""The entrance to the console."""


async def begin(request: Request, sign_in: SignInDesk) -> Response:
    """Send the browser to the identity provider; for a dangerous deed, to sign in anew by
    more than one factor (RFC 9470)."""
    strong = "strong" in request.query_params
    return await ENTRANCE.begin(
        request, sign_in, max_age=0 if strong else LIFE_SECONDS, strong=strong
    )
