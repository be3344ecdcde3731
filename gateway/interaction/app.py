"""The routes of the pages: the interaction itself, the way back from the provider, signing out."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from creditgate.refusal import Refused
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.interaction.approvers import (
    Approvable,
    Need,
    approvable,
    asks_anew,
    needs_sign_in,
)
from gateway.interaction.summary import asker, detail_lines, duration, scope_lines
from gateway.oauth.interactions import Approval, AskedAuthorization, Interactions
from gateway.oauth.rfc9207 import ResponseError
from gateway.pages.forms import FormRefused, posted
from gateway.pages.rendering import Pages, language_of, see_other, style_route
from gateway.signin.desk import CALLBACK_PATH, SignInDesk, forget, remember
from gateway.signin.identity import Identity
from gateway.signin.provider import SignInFailed
from gateway.signin.sessions import LIFE_SECONDS, Browser
from operators.administrators import STRONG_ACR
from operators.authority import Authority
from operators.openings import stood_for

_log = logging.getLogger(__name__)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{20,64}")
_Trouble = Literal["over", "changed", "unavailable"]
_Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class InteractionParts:
    """What the pages stand on.

    ``view`` gives authority as of now and raises Refused when it is not known;
    ``sign_in`` is None where no identity provider is configured; ``token_seconds`` is the
    life of an access token, ``grant_seconds`` that of what refresh tokens are given for.
    """

    interactions: Interactions
    view: Callable[[], AuthorityView]
    sign_in: SignInDesk | None
    clock: Clock
    token_seconds: int
    grant_seconds: int


def interaction_routes(parts: InteractionParts) -> list[Route]:
    """Return the routes of the pages."""
    pages = Pages(__package__ or "")
    site = None if parts.sign_in is None else _Site(parts, parts.sign_in, pages)
    routes = (
        ("/interaction/{interaction_id}", "GET", None if site is None else site.show),
        ("/interaction/{interaction_id}/sign-in", "GET", None if site is None else site.begin),
        ("/interaction/{interaction_id}", "POST", None if site is None else site.decide),
        (CALLBACK_PATH, "GET", None if site is None else site.finish),
        ("/signin/out", "POST", None if site is None else site.sign_out),
    )
    return [
        *(
            Route(path, _guarded(pages, serve or _unconfigured(pages)), methods=[method])
            for path, method, serve in routes
        ),
        style_route(),
    ]


class _Site:
    def __init__(self, parts: InteractionParts, sign_in: SignInDesk, pages: Pages) -> None:
        self._parts = parts
        self._sign_in = sign_in
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """Show what is asked: to be signed in for, or to be decided."""
        asked = await self._asked(request)
        if asked is None:
            return _trouble(self._pages, request, "over")
        browser = await self._sign_in.browser(request)
        if "none" in asked.prompt.split():
            return await self._unasked(request, asked, browser)
        return self._keeping(browser, self._page(request, asked, browser))

    async def begin(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        asked = await self._asked(request)
        if asked is None:
            return _trouble(self._pages, request, "over")
        browser = await self._sign_in.browser(request)
        again = asks_anew(asked) or "again" in request.query_params
        url = await self._sign_in.begin(
            browser,
            max_age=0 if again else _first(asked.max_age, LIFE_SECONDS),
            strong=STRONG_ACR in asked.acr_values,
            again=again,
            return_to=_path(asked.interaction_id, request),
            language=language_of(request),
        )
        return self._keeping(browser, see_other(url))

    async def finish(self, request: Request) -> Response:
        """Take the browser back from the identity provider, signed in."""
        query = request.query_params
        answer = {name: values[0] for name in query if len(values := query.getlist(name)) == 1}
        browser = await self._sign_in.browser(request)
        signed_in, return_to = await self._sign_in.finish(browser, answer)
        return remember(see_other(return_to), signed_in)

    async def decide(self, request: Request) -> Response:
        """Take the decision, made on what the page showed."""
        asked = await self._asked(request)
        if asked is None:
            return _trouble(self._pages, request, "over")
        browser = await self._sign_in.browser(request)
        form = await posted(request)
        decision = form.get("decision")
        if decision == "deny":
            if not browser.sent_form(asked.interaction_id, form.get("deny_token", "")):
                return _trouble(self._pages, request, "changed")
            weak = browser.identity is not None and needs_sign_in(asked, browser.identity) == "weak"
            url = await asyncio.to_thread(
                self._parts.interactions.deny,
                asked.interaction_id,
                "unmet_authentication_requirements" if weak else "access_denied",
            )
        else:
            approval = self._approval(asked, browser)
            sent = approval is not None and browser.sent_form(
                _shown(asked, approval), form.get("approve_token", "")
            )
            if decision != "approve" or approval is None or not sent:
                return _trouble(self._pages, request, "changed")
            url = await asyncio.to_thread(
                self._parts.interactions.approve, asked.interaction_id, approval
            )
        return _trouble(self._pages, request, "over") if url is None else see_other(url)

    async def sign_out(self, request: Request) -> Response:
        """End the browser's session."""
        browser = await self._sign_in.browser(request)
        if not browser.sent_form("sign-out", (await posted(request)).get("token", "")):
            return _trouble(self._pages, request, "changed")
        await self._sign_in.sign_out(browser)
        return forget(self._pages.page("signed_out.html", language_of(request)))

    async def _unasked(
        self, request: Request, asked: AskedAuthorization, browser: Browser
    ) -> Response:
        """Send the browser back: with prompt=none nobody may be asked anything, and an
        approval is always asked for (OpenID Connect Core section 3.1.2.6)."""
        need = needs_sign_in(asked, browser.identity)
        errors: dict[Need | None, ResponseError] = {
            None: "consent_required",
            "absent": "login_required",
            "stale": "unmet_authentication_requirements",
            "weak": "unmet_authentication_requirements",
        }
        url = await asyncio.to_thread(
            self._parts.interactions.deny, asked.interaction_id, errors[need]
        )
        return _trouble(self._pages, request, "over") if url is None else see_other(url)

    async def _asked(self, request: Request) -> AskedAuthorization | None:
        interaction_id = _shown_id(request)
        if not interaction_id:
            return None
        return await asyncio.to_thread(self._parts.interactions.asked, interaction_id)

    def _page(self, request: Request, asked: AskedAuthorization, browser: Browser) -> Response:
        view, now, language = self._parts.view(), self._parts.clock.now(), language_of(request)
        client = view.authority.clients.get(asked.client_id)
        if client is None:
            return _trouble(self._pages, request, "over")
        content: dict[str, Any] = {
            "asker": asker(view.authority, client, language),
            "path": _path(asked.interaction_id, request),
            "here": f"/interaction/{asked.interaction_id}",
            "deny_token": browser.form_token(asked.interaction_id),
            "sign_out_token": browser.form_token("sign-out"),
            "identity": browser.identity,
            "forms_lead_to": (asked.redirect_uri,),
        }
        need = needs_sign_in(asked, browser.identity)
        if need is not None or browser.identity is None:
            return self._pages.page(
                "sign_in.html",
                language,
                **content,
                need=need,
                strong=STRONG_ACR in asked.acr_values,
            )
        found = approvable(view.authority, asked, browser.identity, now)
        if not isinstance(found, Approvable):
            return self._pages.page(
                "cannot_approve.html", language, status=403, **content, obstacle=found
            )
        return self._pages.page(
            "approve.html",
            language,
            **content,
            scopes=scope_lines(view.authority, found.scopes, language),
            left_out=scope_lines(view.authority, asked.scopes - found.scopes, language),
            details=[detail_lines(view, detail, language) for detail in found.details],
            duration=duration(
                client, self._parts.token_seconds, self._parts.grant_seconds, language
            ),
            approve_token=browser.form_token(
                _shown(asked, _approval_of(found, browser.identity, view.authority))
            ),
        )

    def _approval(self, asked: AskedAuthorization, browser: Browser) -> Approval | None:
        """Return what the person signed in may approve now, None where they may not."""
        identity = browser.identity
        if identity is None or needs_sign_in(asked, identity) is not None:
            return None
        authority = self._parts.view().authority
        found = approvable(authority, asked, identity, self._parts.clock.now())
        return _approval_of(found, identity, authority) if isinstance(found, Approvable) else None

    def _keeping(self, browser: Browser, response: Response) -> Response:
        return response if browser.known else remember(response, browser)


def _approval_of(found: Approvable, identity: Identity, authority: Authority) -> Approval:
    return Approval(
        found.principal,
        found.scopes,
        found.details,
        identity.auth_time,
        identity.acr,
        stood_for(authority, found.scopes),
    )


def _shown(asked: AskedAuthorization, approval: Approval) -> str:
    """Return what a form for the approval is for: this, and nothing that changed since."""
    shown = (approval.principal, *sorted(approval.scopes), "", *sorted(approval.opened))
    return " ".join((asked.interaction_id, *shown))


def _path(interaction_id: str, request: Request) -> str:
    return f"/interaction/{interaction_id}?lang={language_of(request)}"


def _first(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _unconfigured(pages: Pages) -> _Answer:
    async def serve(request: Request) -> Response:
        return pages.page("unconfigured.html", language_of(request), status=503)

    return serve


def _guarded(pages: Pages, serve: _Answer) -> _Answer:
    """Return ``serve`` with its failures shown as pages."""

    async def guarded(request: Request) -> Response:
        try:
            return await serve(request)
        except SignInFailed as failed:
            _log.warning("sign-in failed (%s): %s", failed.reason, failed)
            status = 503 if failed.reason == "unavailable" else 403
            return pages.page(
                "sign_in_failed.html", language_of(request), status=status, reason=failed.reason
            )
        except FormRefused as refused:
            return _trouble(pages, request, "changed", status=refused.status)
        except (Refused, DBAPIError, PoolTimeout) as error:
            _log.warning("a page was not served: %s", type(error).__name__)
            return _trouble(pages, request, "unavailable")

    return guarded


_STATUS: Final = {"over": 404, "changed": 403, "unavailable": 503}


def _trouble(
    pages: Pages, request: Request, trouble: _Trouble, *, status: int | None = None
) -> Response:
    return pages.page(
        "trouble.html",
        language_of(request),
        status=status or _STATUS[trouble],
        trouble=trouble,
        here=f"/interaction/{again}" if (again := _shown_id(request)) else "",
    )


def _shown_id(request: Request) -> str:
    interaction_id: str = request.path_params.get("interaction_id", "")
    return interaction_id if _ID.fullmatch(interaction_id) else ""
