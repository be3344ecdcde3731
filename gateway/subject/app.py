"""The routes of a subject's pages, and what every request to them goes through."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.pages.addresses import addressed, kept_query
from gateway.pages.rendering import Pages, language_of, see_other
from gateway.pages.troubles import NotShown, Trouble
from gateway.signin.desk import SignInDesk, remember
from gateway.signin.guarded import Answer, Guarded
from gateway.subject import (
    accesses,
    answer,
    companies,
    consents,
    delegations,
    entering,
    inbox,
    invitations,
    keys,
    notices,
    receipts,
    reports,
    revoke,
)
from gateway.subject.acting import acting_for
from gateway.subject.parts import SubjectParts
from gateway.subject.visit import CompanyVisit, ServeCompany, ServeVisit, Visit

__all__ = ["COMPANY_PAGES", "SubjectParts", "subject_routes"]

_R = RefusalReason
_TROUBLES: Final[dict[RefusalReason.ValueType, Trouble]] = {
    _R.REFUSAL_REASON_RESOURCE_NOT_FOUND: "missing",
    _R.REFUSAL_REASON_ETAG_MISMATCH: "changed",
    _R.REFUSAL_REASON_STATE_CONFLICT: "changed",
}

_PAGES: Final[tuple[tuple[str, str, ServeVisit], ...]] = (
    ("GET", "/my", companies.enter),
    ("GET", "/my/companies", companies.show),
    ("GET", "/my/consents/{consent_id}", companies.find_consent),
    ("GET", "/my/invitations", invitations.show),
    ("POST", "/my/invitations", invitations.accept),
    ("POST", "/my/delegations/{delegation_id}/give-up", invitations.give_up),
)
COMPANY_PAGES: Final[tuple[tuple[str, str, ServeCompany], ...]] = (
    ("GET", "", companies.open_company),
    ("GET", "/inbox", inbox.show),
    ("GET", "/consents", consents.show_all),
    ("GET", "/consents/{consent_id}", consents.show),
    ("POST", "/consents/{consent_id}/grant", answer.grant),
    ("POST", "/consents/{consent_id}/refuse", answer.refuse),
    ("GET", "/consents/{consent_id}/revoke", revoke.show),
    ("POST", "/consents/{consent_id}/revoke", revoke.revoke),
    ("GET", "/consents/{consent_id}/receipt", receipts.granted),
    ("GET", "/consents/{consent_id}/receipt-now", receipts.current),
    ("GET", "/consents/{consent_id}/notice", receipts.notice),
    ("POST", "/consents/{consent_id}/signature", receipts.sign),
    ("GET", "/accesses", accesses.show),
    ("GET", "/notices", notices.show),
    ("POST", "/notices/{newest}/seen", notices.seen),
    ("GET", "/delegations", delegations.show),
    ("GET", "/delegations/new", delegations.draft),
    ("POST", "/delegations/{delegation_id}", delegations.appoint),
    ("POST", "/delegations/{delegation_id}/end", delegations.withdraw),
    ("GET", "/keys", keys.show),
    ("POST", "/keys", keys.register),
    ("POST", "/keys/{thumbprint}/remove", keys.remove),
    ("GET", "/reports", reports.show),
    ("POST", "/reports/{request_id}", reports.issue),
    ("GET", "/reports/{report_id}/document", reports.document),
    ("GET", "/reports/{report_id}/pdf", reports.pdf),
    ("POST", "/reports/{report_id}/revoke", reports.revoke),
)
"""Method, path below that of the company, and what serves it."""

_COMPANY: Final = "/my/{uscc}"
_CONSENT: Final = "/consents/{consent_id}"
_SHOWN_AT: Final = {
    "/my/delegations/{delegation_id}/give-up": "/my/companies",
    f"{_CONSENT}/grant": _CONSENT,
    f"{_CONSENT}/refuse": _CONSENT,
    f"{_CONSENT}/signature": _CONSENT,
    "/notices/{newest}/seen": "/notices",
    "/delegations/{delegation_id}": "/delegations/new",
    "/delegations/{delegation_id}/end": "/delegations",
    "/keys/{thumbprint}/remove": "/keys",
    "/reports/{request_id}": "/reports",
    "/reports/{report_id}/revoke": "/reports",
}
"""Where a form is shown that is not sent to the path of its page."""


def subject_routes(parts: SubjectParts) -> list[Route]:
    """Return the routes of the pages. The way back from the provider, signing out and the
    style sheet are routes of gateway/interaction's."""
    pages = Pages(__package__ or "")
    guarded = Guarded(pages, "a subject's page", _TROUBLES)
    sign_in = parts.sign_in
    if sign_in is None:
        return guarded.unconfigured(entering.ENTRANCE.home)
    door = _Door(parts, sign_in, pages)
    routes = [
        # No page's address ends with a slash, and people write one.
        Route("/my/", guarded(_without_slash), methods=["GET"]),
        Route("/my/{rest:path}/", guarded(_without_slash), methods=["GET"]),
        Route("/my/sign-in", guarded(door.begin), methods=["GET"]),
        Route(
            entering.ENTRANCE.back_path,
            guarded(entering.ENTRANCE.come_back),
            methods=["GET"],
        ),
        Route("/my/invitations/{secret}", guarded(invitations.arrive), methods=["GET"]),
        *(
            Route(
                path,
                guarded(door.person(serve, _SHOWN_AT.get(path, path))),
                methods=[method],
            )
            for method, path, serve in _PAGES
        ),
        *(
            Route(
                f"{_COMPANY}{path}",
                guarded(door.company(serve, _COMPANY + _SHOWN_AT.get(path, path))),
                methods=[method],
            )
            for method, path, serve in COMPANY_PAGES
        ),
    ]
    # People also come to the bare address of the gateway, which has no other page.
    return [*routes, *guarded.astray(("/", "/my", "/my/{rest:path}"), routes)]


async def _without_slash(request: Request) -> Response:
    """Send the browser to the address that it means."""
    path = request.url.path.rstrip("/")
    return see_other(addressed(path, language_of(request), **kept_query(request)))


class _Door:
    """Lets in who is signed in, to companies they act for."""

    def __init__(self, parts: SubjectParts, sign_in: SignInDesk, pages: Pages) -> None:
        self._parts = parts
        self._sign_in = sign_in
        self._pages = pages

    async def begin(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        return await entering.begin(request, self._sign_in)

    def person(self, serve: ServeVisit, shown_at: str) -> Answer:
        """Return ``serve`` for whoever is signed in; others are asked to sign in.

        ``shown_at`` is the path of the page where what is sent here was shown: whoever
        sends it after their session signs in and comes back to that page, whose forms are
        new ones.
        """

        async def served(request: Request) -> Response:
            browser = await self._sign_in.browser(request)
            if browser.identity is None:
                if request.method != "GET":
                    place = entering.ENTRANCE.place_of(shown_at.format(**request.path_params))
                    return see_other(addressed(place, language_of(request), over="1"))
                shown = self._pages.page(
                    "sign_in.html",
                    language_of(request),
                    here=request.url.path,
                    query=kept_query(request),
                    over="over" in request.query_params,
                )
                return shown if browser.known else remember(shown, browser)
            return await serve(
                Visit(
                    self._parts,
                    self._pages,
                    request,
                    language_of(request),
                    browser,
                    browser.identity,
                    self._parts.clock.now(),
                )
            )

        return served

    def company(self, serve: ServeCompany, shown_at: str) -> Answer:
        """Return ``serve`` for whoever acts for the company in the path.

        Judged anew at each request; any other company is as one that does not exist.
        """

        async def of_company(visit: Visit) -> Response:
            mine = await asyncio.to_thread(
                self._parts.delegations.of_deputy, visit.identity.representative
            )
            subject: str = visit.request.path_params["uscc"]
            acting = acting_for(visit.identity, mine, subject, visit.now)
            if acting is None:
                raise NotShown("missing")
            return await serve(
                CompanyVisit(
                    visit.parts,
                    visit.pages,
                    visit.request,
                    visit.language,
                    visit.browser,
                    visit.identity,
                    visit.now,
                    acting,
                )
            )

        return self.person(of_company, shown_at)
