"""The routes of the pages: the interaction itself, the way back from the provider, signing out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.delegations_sql import SqlDelegations
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.consents.desk import ConsentDesk
from gateway.interaction.approvers import (
    Approvable,
    Need,
    Obstacle,
    approvable,
    asks_anew,
    needs_sign_in,
)
from gateway.interaction.consents import ConsentApprovals, ConsentOffer
from gateway.interaction.summary import asker, detail_lines, duration, scope_lines
from gateway.interaction.troubles import guarded, interaction_id_of, trouble, unconfigured
from gateway.oauth.interactions import AskedAuthorization, Interactions
from gateway.oauth.rfc9207 import ResponseError
from gateway.pages.addresses import addressed
from gateway.pages.cookies import drop
from gateway.pages.forms import posted
from gateway.pages.rendering import Language, Pages, language_of, see_other, style_route
from gateway.pages.staying import staying
from gateway.signin.desk import CALLBACK_PATH, SignInDesk, forget, remember
from gateway.signin.sessions import IDLE_SECONDS, LIFE_SECONDS, Browser
from gateway.subject.acting import FRESH_SIGN_IN_SECONDS
from gateway.subject.invitations import INVITATION_COOKIE
from operators.administrators import STRONG_ACR

# Where one is asked to sign out everywhere.
_EVERYWHERE: Final = "/my/companies"
Offer = Approvable | ConsentOffer
"""What somebody may approve: within their roles or for their company, or a consent."""


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
    consents: ConsentDesk
    delegations: SqlDelegations


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
        ("/signin/out/everywhere", "POST", None if site is None else site.sign_out_everywhere),
    )
    return [
        *(
            Route(path, guarded(pages, serve or unconfigured(pages)), methods=[method])
            for path, method, serve in routes
        ),
        style_route(),
    ]


class _Site:
    def __init__(self, parts: InteractionParts, sign_in: SignInDesk, pages: Pages) -> None:
        self._parts = parts
        self._sign_in = sign_in
        self._pages = pages
        self._consents = ConsentApprovals(
            parts.interactions, parts.consents, parts.delegations, parts.view, parts.clock
        )

    async def show(self, request: Request) -> Response:
        """Show what is asked: to be signed in for, or to be decided."""
        asked = await self._asked(request)
        if asked is None:
            return trouble(self._pages, request, "over")
        browser = await self._sign_in.browser(request)
        if "none" in asked.prompt.split():
            return await self._unasked(request, asked, browser)
        return self._keeping(browser, await self._page(request, asked, browser))

    async def begin(self, request: Request) -> Response:
        """Send the browser to the identity provider."""
        asked = await self._asked(request)
        if asked is None:
            return trouble(self._pages, request, "over")
        browser = await self._sign_in.browser(request)
        again = asks_anew(asked) or "again" in request.query_params
        usual = LIFE_SECONDS if asked.consent_terms is None else FRESH_SIGN_IN_SECONDS
        url = await self._sign_in.begin(
            browser,
            max_age=0 if again else min(_first(asked.max_age, usual), usual),
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
        response = remember(see_other(return_to), signed_in)
        return response if _same_person(browser, signed_in) else drop(response, INVITATION_COOKIE)

    async def decide(self, request: Request) -> Response:
        """Take the decision, made on what the page showed."""
        asked = await self._asked(request)
        if asked is None:
            return trouble(self._pages, request, "over")
        browser = await self._sign_in.browser(request)
        form = await posted(request)
        decision = form.get("decision")
        if decision == "deny":
            if not browser.sent_form(asked.interaction_id, form.get("deny_token", "")):
                return trouble(self._pages, request, "changed")
            url = await asyncio.to_thread(self._deny, asked, browser, language_of(request))
        elif decision == "approve" and self._need(asked, browser) is not None:
            # The session ended while the page was read: what is asked is shown again.
            return see_other(_path(asked.interaction_id, request))
        else:
            offer = await self._offer(request, asked, browser)
            if decision != "approve" or not isinstance(offer, Offer):
                return trouble(self._pages, request, "changed")
            if not browser.sent_form(_shown(asked, offer), form.get("approve_token", "")):
                return trouble(self._pages, request, "changed")
            url = await asyncio.to_thread(self._approve, asked, offer, browser)
        return trouble(self._pages, request, "over") if url is None else see_other(url)

    def _approve(self, asked: AskedAuthorization, offer: Offer, browser: Browser) -> str | None:
        assert browser.identity is not None
        if isinstance(offer, ConsentOffer):
            return self._consents.give(asked.interaction_id, offer)
        return self._parts.interactions.approve(
            asked.interaction_id, offer.approval(browser.identity)
        )

    def _deny(self, asked: AskedAuthorization, browser: Browser, language: Language) -> str | None:
        identity = browser.identity
        weak = self._need(asked, browser) == "weak"
        url = self._parts.interactions.deny(
            asked.interaction_id, "unmet_authentication_requirements" if weak else "access_denied"
        )
        if url is not None and not weak and identity and asked.consent_terms is not None:
            self._consents.refuse(asked, identity, language)
        return url

    def _need(self, asked: AskedAuthorization, browser: Browser) -> Need | None:
        return needs_sign_in(asked, browser.identity, self._parts.clock.now())

    async def sign_out(self, request: Request) -> Response:
        """End the browser's session."""
        browser = await self._sign_in.browser(request)
        if not browser.sent_form("sign-out", (await posted(request)).get("token", "")):
            return trouble(self._pages, request, "changed")
        await self._sign_in.sign_out(browser)
        return self._signed_out(request, everywhere=False)

    async def sign_out_everywhere(self, request: Request) -> Response:
        """End all sessions of whoever is signed in in the browser."""
        browser = await self._sign_in.browser(request)
        if not browser.sent_form("sign-out-everywhere", (await posted(request)).get("token", "")):
            return trouble(self._pages, request, "changed")
        if browser.identity is None:
            # Whose the other sessions are is known of who is signed in alone.
            return see_other(addressed(_EVERYWHERE, language_of(request), over="1"))
        await self._sign_in.sign_out_everywhere(browser.identity)
        return self._signed_out(request, everywhere=True)

    def _signed_out(self, request: Request, *, everywhere: bool) -> Response:
        language = language_of(request)
        left = forget(self._pages.page("signed_out.html", language, everywhere=everywhere))
        # A link that was opened here is for who opened it, not for who sits here next.
        return drop(left, INVITATION_COOKIE)

    async def _unasked(
        self, request: Request, asked: AskedAuthorization, browser: Browser
    ) -> Response:
        """Send the browser back: with prompt=none nobody may be asked anything, and an
        approval is always asked for (OpenID Connect Core section 3.1.2.6)."""
        need = self._need(asked, browser)
        errors: dict[Need | None, ResponseError] = {
            None: "consent_required",
            "absent": "login_required",
            "stale": "unmet_authentication_requirements",
            "weak": "unmet_authentication_requirements",
        }
        url = await asyncio.to_thread(
            self._parts.interactions.deny, asked.interaction_id, errors[need]
        )
        return trouble(self._pages, request, "over") if url is None else see_other(url)

    async def _asked(self, request: Request) -> AskedAuthorization | None:
        interaction_id = interaction_id_of(request)
        if not interaction_id:
            return None
        return await asyncio.to_thread(self._parts.interactions.asked, interaction_id)

    async def _page(
        self, request: Request, asked: AskedAuthorization, browser: Browser
    ) -> Response:
        view, language = self._parts.view(), language_of(request)
        client = view.authority.clients.get(asked.client_id)
        if client is None:
            return trouble(self._pages, request, "over")
        content: dict[str, Any] = {
            "asker": asker(view.authority, client, language),
            "path": _path(asked.interaction_id, request),
            "here": f"/interaction/{asked.interaction_id}",
            "deny_token": browser.form_token(asked.interaction_id),
            "sign_out_token": browser.form_token("sign-out"),
            "identity": browser.identity,
            "stay": staying(
                IDLE_SECONDS,
                browser.idle_at,
                browser.over_at,
                language,
                link=_path(asked.interaction_id, request),
            ),
            "forms_lead_to": (asked.redirect_uri,),
        }
        need = self._need(asked, browser)
        if need is not None or browser.identity is None:
            return self._pages.page(
                "sign_in.html",
                language,
                **content,
                need=need,
                strong=STRONG_ACR in asked.acr_values,
            )
        found = await self._offer(request, asked, browser)
        if not isinstance(found, Offer):
            return self._pages.page(
                "cannot_approve.html", language, status=403, **content, obstacle=found
            )
        content["approve_token"] = browser.form_token(_shown(asked, found))
        if isinstance(found, ConsentOffer):
            return self._pages.page(
                "consent.html",
                language,
                **content,
                consent=found.plain,
                deputy=bool(found.delegation),
                subject=found.asked.subject,
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
        )

    async def _offer(
        self, request: Request, asked: AskedAuthorization, browser: Browser
    ) -> Approvable | ConsentOffer | Obstacle | None:
        """Return what the person signed in may approve now; None where nobody fit is."""
        identity = browser.identity
        if identity is None or self._need(asked, browser) is not None:
            return None
        if asked.consent_terms is not None:
            return await asyncio.to_thread(
                self._consents.offer, asked, identity, language_of(request)
            )
        return approvable(self._parts.view().authority, asked, identity, self._parts.clock.now())

    def _keeping(self, browser: Browser, response: Response) -> Response:
        return response if browser.known else remember(response, browser)


def _shown(asked: AskedAuthorization, offer: Offer) -> str:
    """Return what a form to approve is for: this, and nothing that changed since."""
    if isinstance(offer, ConsentOffer):
        approval, told = offer.approval, (offer.delegation, offer.notice.text_digest)
    else:
        approval, told = offer, ()
    shown = (approval.principal, *sorted(approval.scopes), "", *sorted(approval.opened))
    return " ".join((asked.interaction_id, *shown, *told))


def _path(interaction_id: str, request: Request) -> str:
    return f"/interaction/{interaction_id}?lang={language_of(request)}"


def _first(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _same_person(before: Browser, after: Browser) -> bool:
    """Tell whether who was signed in, if anybody was, is who is signed in now."""
    if before.identity is None or after.identity is None:
        return True
    return before.identity.representative == after.identity.representative
