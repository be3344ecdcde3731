"""The routes of the console, and what every request to them goes through."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.console import (
    alerts,
    brakes,
    clearing,
    conformance,
    entering,
    operator_use,
    operators,
    overview,
    prices,
    proposals,
    scopes,
    settlement,
    use,
)
from gateway.console.parts import ConsoleParts
from gateway.console.refused_forms import refusal_of
from gateway.console.visit import Serve, Visit
from gateway.pages.addresses import addressed, kept_query
from gateway.pages.rendering import Pages, language_of, see_other
from gateway.pages.troubles import NotShown, Trouble
from gateway.signin.desk import SignInDesk, remember
from gateway.signin.guarded import Answer, Guarded
from operators.persons import administrator_at

_R = RefusalReason
_TROUBLES: Final[dict[RefusalReason.ValueType, Trouble]] = {
    _R.REFUSAL_REASON_RESOURCE_NOT_FOUND: "missing",
    _R.REFUSAL_REASON_INVALID_REQUEST: "missing",
    _R.REFUSAL_REASON_SCOPE_NOT_GRANTED: "closed",
    _R.REFUSAL_REASON_ADMINISTRATOR_NOT_ACTIVE: "closed",
}

SHOWN: Final[tuple[tuple[str, Serve], ...]] = (
    ("", overview.show),
    ("/operators", operators.show_all),
    ("/operators/{operator_id}", operators.show),
    ("/operators/{operator_id}/use", operator_use.show),
    ("/proposals", proposals.show_all),
    ("/proposals/{proposal_id}", proposals.show),
    ("/scopes", scopes.show),
    ("/prices", prices.show),
    ("/use", use.show),
    ("/use/{month}", use.show),
    ("/clearing", clearing.show),
    ("/clearing/{until}", clearing.show_day),
    ("/clearing/{until}/file", clearing.download),
    ("/conformance", conformance.show),
    ("/alerts", alerts.show),
    ("/brakes", brakes.show),
)
"""Paths below the console's, and what shows each."""
_PAGES: Final[Mapping[str, Serve]] = dict(SHOWN)

DONE: Final[tuple[tuple[str, str, Serve], ...]] = (
    ("/operators/{operator_id}/suspend", "/operators/{operator_id}", operators.suspend),
    ("/operators/{operator_id}/reinstate", "/operators/{operator_id}", operators.reinstate),
    ("/proposals/{proposal_id}/approve", "/proposals/{proposal_id}", proposals.approve),
    ("/proposals/{proposal_id}/reject", "/proposals/{proposal_id}", proposals.reject),
    ("/use/{month}/close", "/use/{month}", settlement.close),
    ("/clearing/disputes/{dispute_id}/resolve", "/clearing", clearing.resolve),
    ("/alerts/{alert_id}/acknowledge", "/alerts", alerts.acknowledge),
    ("/brakes", "/brakes", brakes.engage),
    ("/brakes/{brake_id}/release", "/brakes", brakes.release),
)
"""Paths that forms are sent to, the page each is shown on, and what takes it."""


def console_routes(parts: ConsoleParts) -> list[Route]:
    """Return the routes of the console. The way back from the provider, signing out and the
    style sheet are routes of gateway/interaction's."""
    pages = Pages(__package__ or "")
    guarded = Guarded(pages, "a page of the console", _TROUBLES)
    sign_in = parts.sign_in
    if sign_in is None:
        return guarded.unconfigured(entering.ENTRANCE.home)
    door = _Door(parts, sign_in, pages)
    routes = [
        Route("/console/sign-in", guarded(door.begin), methods=["GET"]),
        Route(
            entering.ENTRANCE.back_path,
            guarded(entering.ENTRANCE.come_back),
            methods=["GET"],
        ),
        *(
            Route(f"/console{path}", guarded(door.shown(serve)), methods=["GET"])
            for path, serve in SHOWN
        ),
        *(
            Route(f"/console{path}", guarded(door.taken(serve, at)), methods=["POST"])
            for path, at, serve in DONE
        ),
    ]
    return [*routes, *guarded.astray(("/console", "/console/{rest:path}"), routes)]


class _Door:
    """Lets in who is signed in and administers this gateway, judged anew at each request."""

    def __init__(self, parts: ConsoleParts, sign_in: SignInDesk, pages: Pages) -> None:
        self._parts = parts
        self._sign_in = sign_in
        self._pages = pages

    async def begin(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        return await entering.begin(request, self._sign_in)

    def shown(self, serve: Serve) -> Answer:
        """Return what shows a page; others are asked to sign in."""

        async def served(request: Request) -> Response:
            visit = await self._visit(request, request.url.path)
            return visit if isinstance(visit, Response) else await serve(visit)

        return served

    def taken(self, serve: Serve, shown_at: str) -> Answer:
        """Return what takes a form of the page ``shown_at``.

        Whoever sends it after their session, or has to sign in more strongly for it, comes
        back to that page, whose forms are new ones. A refusal is answered by the page itself,
        with what was entered.
        """
        show = _PAGES[shown_at]

        async def served(request: Request) -> Response:
            place = f"/console{shown_at.format(**request.path_params)}"
            place = entering.ENTRANCE.place_of(place)
            visit = await self._visit(request, place)
            language = language_of(request)
            if isinstance(visit, Response):
                return see_other(addressed(place, language, over="1"))
            try:
                return await serve(visit)
            except Refused as refused:
                if refused.reason == _R.REFUSAL_REASON_STEP_UP_REQUIRED:
                    return see_other(addressed("/console/sign-in", language, to=place, strong="1"))
                refusal = refusal_of(refused, visit.sent, language)
                if refusal is None:
                    raise
                return await show(visit.refused(refusal))

        return served

    async def _visit(self, request: Request, place: str) -> Visit | Response:
        browser = await self._sign_in.browser(request)
        language = language_of(request)
        if browser.identity is None:
            shown = self._pages.page(
                "sign_in.html",
                language,
                here=request.url.path,
                query=kept_query(request),
                over="over" in request.query_params,
            )
            return shown if browser.known else remember(shown, browser)
        identity = browser.identity
        administrator = administrator_at(
            self._parts.view().authority, identity.issuer, identity.subject
        )
        if administrator is None:
            raise NotShown("closed")
        return Visit(
            self._parts,
            self._pages,
            request,
            language,
            browser,
            identity,
            administrator,
            self._parts.clock.now(),
            place,
        )
