"""Entrances: signing in at a set of pages, and going on to where one was going."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.pages.addresses import addressed
from gateway.pages.cookies import drop, keep
from gateway.pages.rendering import language_of, see_other
from gateway.signin.desk import SignInDesk, remember

_PLACE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where people come into a set of pages.

    ``home`` is the path of the first page, below which all of them are; ``places`` matches
    the paths one may be led to; ``cookie`` keeps the place meanwhile. The place is kept in
    the browser: anybody may come here, and sign-ins under way are counted by where they
    lead, so that nobody can fill the store with them.
    """

    home: str
    places: re.Pattern[str]
    cookie: str

    @property
    def back_path(self) -> str:
        """Where the browser comes back to, signed in."""
        return f"{self.home}/back"

    async def begin(
        self, request: Request, sign_in: SignInDesk, *, max_age: int, strong: bool = False
    ) -> Response:
        """Send the browser to the identity provider, and remember where it was going.

        ``max_age`` (seconds) is how old a sign-in at the provider may be, 0 for one made
        now; ``strong`` asks for more than one factor.
        """
        browser = await sign_in.browser(request)
        language, query = language_of(request), request.query_params
        again = "again" in query or not max_age
        url = await sign_in.begin(
            browser,
            max_age=0 if again else max_age,
            strong=strong,
            again=again,
            # One in 256: who begins sign-ins by the thousand pushes out few of anybody else's.
            return_to=addressed(self.back_path, language, of=browser.digest[:1].hex()),
            language=language,
        )
        place = self.place_of(query.get("to", ""))
        response = keep(see_other(url), self.cookie, place, _PLACE_SECONDS)
        return response if browser.known else remember(response, browser)

    async def come_back(self, request: Request) -> Response:
        """Send the browser on to where it was going before it signed in."""
        place = self.place_of(request.cookies.get(self.cookie, ""))
        return drop(see_other(addressed(place, language_of(request))), self.cookie)

    def place_of(self, path: str) -> str:
        """Return ``path`` if it is one of these pages', else that of the first page."""
        return path if self.places.fullmatch(path) else self.home
