"""Signing in, and where to afterwards."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.pages.cookies import drop, keep
from gateway.pages.rendering import language_of, see_other
from gateway.signin.desk import SignInDesk, remember
from gateway.signin.sessions import LIFE_SECONDS
from gateway.subject.acting import GRANT_SIGN_IN_SECONDS
from gateway.subject.visit import addressed

HOME: Final = "/my"
BACK_PATH: Final = "/my/back"
"""Where the browser comes back to, signed in."""

PLACE_COOKIE: Final = "__Host-creditgate-place"
_PLACE_SECONDS: Final = 600
_PLACE: Final = re.compile(r"/my(/[A-Za-z0-9-]{1,64}){0,4}")


async def begin(request: Request, sign_in: SignInDesk) -> Response:
    """Send the browser to the identity provider, and remember where it was going.

    The place is kept in the browser: anybody may come here, and sign-ins under way are
    counted by where they lead, so that nobody can fill the store with them.
    """
    browser = await sign_in.browser(request)
    language, query = language_of(request), request.query_params
    usual = GRANT_SIGN_IN_SECONDS if "to-grant" in query else LIFE_SECONDS
    url = await sign_in.begin(
        browser,
        max_age=0 if "again" in query else usual,
        strong=False,
        again="again" in query,
        # One in 256: who begins sign-ins by the thousand pushes out few of anybody else's.
        return_to=addressed(BACK_PATH, language, of=browser.digest[:1].hex()),
        language=language,
    )
    place = place_of(query.get("to", ""))
    response = keep(see_other(url), PLACE_COOKIE, place, _PLACE_SECONDS)
    return response if browser.known else remember(response, browser)


async def come_back(request: Request) -> Response:
    """Send the browser on to where it was going before it signed in."""
    place = place_of(request.cookies.get(PLACE_COOKIE, ""))
    return drop(see_other(addressed(place, language_of(request))), PLACE_COOKIE)


def place_of(path: str) -> str:
    """Return ``path`` if it is one of these pages', else that of the first page."""
    return path if _PLACE.fullmatch(path) else HOME
