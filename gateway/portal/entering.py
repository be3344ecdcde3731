"""Signing in at the portal, and where to afterwards."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.signin.desk import SignInDesk
from gateway.signin.entrance import Entrance
from gateway.signin.sessions import LIFE_SECONDS

ENTRANCE: Final = Entrance(
    "/portal", re.compile(r"/portal(/[A-Za-z0-9-]{1,64}){0,4}"), "__Host-creditgate-portal"
)
"""The entrance to the portal."""


async def begin(request: Request, sign_in: SignInDesk) -> Response:
    """Send the browser to the identity provider."""
    return await ENTRANCE.begin(request, sign_in, max_age=LIFE_SECONDS)
