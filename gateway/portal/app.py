"""The routes of the portal, and what every request to them goes through."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.pages.addresses import addressed, kept_query
from gateway.pages.rendering import Pages, language_of, see_other
from gateway.pages.troubles import NotShown, Trouble
from gateway.portal import (
    alerts,
    conformance,
    document,
    entering,
    keys,
    overview,
    statements,
    use,
    uses,
)
from gateway.portal.parts import PortalParts
from gateway.portal.representing import represented
from gateway.portal.visit import Serve, Visit
from gateway.signin.desk import SignInDesk, remember
from gateway.signin.guarded import Answer, Guarded
from gateway.signin.sessions import Browser

_R = RefusalReason
_TROUBLES: Final[dict[RefusalReason.ValueType, Trouble]] = {
    _R.REFUSAL_REASON_RESOURCE_NOT_FOUND: "missing",
    _R.REFUSAL_REASON_INVALID_REQUEST: "missing",
    _R.REFUSAL_REASON_SCOPE_NOT_GRANTED: "missing",
}

SHOWN: Final[tuple[tuple[str, Serve], ...]] = (
    ("", overview.show),
    ("/use", use.show),
    ("/statements", statements.show_all),
    ("/statements/{month}", statements.show),
    ("/statements/{month}/uses", uses.show),
    ("/conformance", conformance.show),
    ("/alerts", alerts.show),
    ("/keys", keys.show),
)
"""Paths below an operator's, and what shows each."""

GIVEN: Final[tuple[tuple[str, Serve], ...]] = (("/statements/{month}/{form}", document.give),)
"""Paths of files below an operator's, and what gives each."""


def portal_routes(parts: PortalParts) -> list[Route]:
    """Return the routes of the portal. The way back from the provider, signing out and the
    style sheet are routes of gateway/interaction's."""
    pages = Pages(__package__ or "")
    guarded = Guarded(pages, "a page of the portal", _TROUBLES)
    home = entering.ENTRANCE.home
    sign_in = parts.sign_in
    if sign_in is None:
        return guarded.unconfigured(home)
    door = _Door(parts, sign_in, pages)
    routes = [
        Route(f"{home}/sign-in", guarded(door.begin), methods=["GET"]),
        Route(entering.ENTRANCE.back_path, guarded(entering.ENTRANCE.come_back), methods=["GET"]),
        Route(home, guarded(door.enter), methods=["GET"]),
        *(
            Route(f"{home}/{{operator_id}}{path}", guarded(door.shown(serve)), methods=["GET"])
            for path, serve in (*SHOWN, *GIVEN)
        ),
    ]
    return [*routes, *guarded.astray((home, f"{home}/{{rest:path}}"), routes)]


class _Door:
    """Lets in who is signed in, to the operators they represent, judged anew at each request."""

    def __init__(self, parts: PortalParts, sign_in: SignInDesk, pages: Pages) -> None:
        self._parts = parts
        self._sign_in = sign_in
        self._pages = pages

    async def begin(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        return await entering.begin(request, self._sign_in)

    async def enter(self, request: Request) -> Response:
        """Go on to the one operator there is, or show them to choose from."""
        browser = await self._sign_in.browser(request)
        if browser.identity is None:
            return self._asked_to_sign_in(request, browser)
        language = language_of(request)
        found = represented(self._parts.view().authority, browser.identity.uscc)
        if not found:
            raise NotShown("closed")
        home = entering.ENTRANCE.home
        links = [
            (addressed(f"{home}/{operator.operator_id}", language), operator.display_name)
            for operator in found
        ]
        if len(links) == 1:
            return see_other(links[0][0])
        return self._pages.page("choose.html", language, here=home, query={}, operators=links)

    def shown(self, serve: Serve) -> Answer:
        """Return what shows a page of an operator; one that somebody does not represent is as
        one that does not exist (G11)."""

        async def served(request: Request) -> Response:
            browser = await self._sign_in.browser(request)
            identity = browser.identity
            if identity is None:
                return self._asked_to_sign_in(request, browser)
            found = represented(self._parts.view().authority, identity.uscc)
            for operator in found:
                if operator.operator_id == request.path_params["operator_id"]:
                    break
            else:
                raise NotShown("missing")
            return await serve(
                Visit(
                    self._parts,
                    self._pages,
                    request,
                    language_of(request),
                    browser,
                    identity,
                    operator,
                    len(found) > 1,
                    self._parts.clock.now(),
                )
            )

        return served

    def _asked_to_sign_in(self, request: Request, browser: Browser) -> Response:
        shown = self._pages.page(
            "sign_in.html",
            language_of(request),
            here=request.url.path,
            query=kept_query(request),
        )
        return shown if browser.known else remember(shown, browser)
