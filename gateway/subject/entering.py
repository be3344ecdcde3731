"""Signing in at a subject's pages, and where to afterwards."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.signin.desk import SignInDesk
from gateway.signin.entrance import Entrance
from gateway.signin.sessions import LIFE_SECONDS
from gateway.subject.acting import FRESH_SIGN_IN_SECONDS

ENTRANCE: Final = Entrance(
    "/my", re.compile(r"/my(/[A-Za-z0-9_-]{1,64}){0,4}"), "__Host-creditgate-place"
)
"""The entrance to the pages."""


async def begin(request: Request, sign_in: SignInDesk) -> Response:
    """Send the browser to the identity provider."""
    usual = FRESH_SIGN_IN_SECONDS if "fresh" in request.query_params else LIFE_SECONDS
    return await ENTRANCE.begin(request, sign_in, max_age=usual)
