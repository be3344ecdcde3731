"""One request of somebody who is signed in, and how it is answered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from consent.delegation import Power
from consent.notices import MOST_UNREAD
from gateway.pages.addresses import addressed, kept_query, same_page
from gateway.pages.forms import posted_here
from gateway.pages.rendering import Language, Pages, see_other
from gateway.pages.staying import staying
from gateway.pages.words import said
from gateway.signin.identity import Identity
from gateway.signin.sessions import IDLE_SECONDS, Browser
from gateway.subject.acting import Acting, signed_in_freshly
from gateway.subject.parts import SubjectParts
from gateway.subject.standing import newly_accepted, waiting


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by ``identity`` in ``browser``."""

    parts: SubjectParts
    pages: Pages
    request: Request
    language: Language
    browser: Browser
    identity: Identity
    now: int

    @property
    def fresh(self) -> bool:
        """Whether they signed in lately enough for what opens something for long."""
        return signed_in_freshly(self.identity, self.now)

    def say(self, zh: str, en: str) -> str:
        """Return the words of the page's language."""
        return said(self.language, (zh, en))

    def path(self, path: str, **query: str) -> str:
        """Return a path of these pages with ``query``, in the page's language."""
        return addressed(path, self.language, **query)

    async def form(self, purpose: str) -> dict[str, str]:
        """Return the posted form, which was shown here for ``purpose``.

        Raises NotShown "changed" for any other, and FormRefused.
        """
        return await posted_here(self.request, self.browser, purpose)

    def page(self, template: str, *, status: int = 200, **content: object) -> Response:
        """Return a page about no company in particular."""
        return shell(
            self, template, status=status, acting=None, tabs=(), tab="", typed=False, **content
        )


@dataclass(frozen=True, slots=True)
class CompanyVisit(Visit):
    """A request about the company that ``acting`` acts for."""

    acting: Acting

    def at(self, path: str = "", **query: str) -> str:
        """Return a path of this company's pages."""
        return self.path(f"/my/{self.acting.subject}{path}", **query)

    def purpose(self, *parts: str) -> str:
        """Return what a form here is for: this, and nothing that changed since."""
        return " ".join((self.acting.subject, *parts))

    async def shown(
        self,
        template: str,
        *,
        tab: str,
        status: int = 200,
        typed: bool = False,
        **content: object,
    ) -> Response:
        """Return a page of this company below ``tab``, with its way to the others; see
        `shell`."""
        return shell(
            self,
            template,
            status=status,
            acting=self.acting,
            tabs=self._tabs(),
            tab=tab,
            typed=typed,
            counts=await asyncio.to_thread(self._counts),
            at=self.at,
            **content,
        )

    def _counts(self) -> dict[str, int]:
        """Return what is new below which tab. Blocks."""
        acting, parts = self.acting, self.parts
        counts: dict[str, int] = {}
        if acting.may(Power.ANSWER):
            counts["/inbox"] = len(waiting(parts.consents, acting))
        if acting.sees_all:
            unread = parts.notices.unread(acting.principal, acting.subject)
            overdue = parts.overdue.of_subject(acting.subject, self.now, MOST_UNREAD)
            accepted = newly_accepted(parts.notices, acting)
            counts["/notices"] = min(unread + len(overdue) + len(accepted), MOST_UNREAD)
        return counts

    def sent_on(self, path: str = "", **query: str) -> Response:
        """Return the answer to a form that was taken: on to a page of this company."""
        return see_other(self.at(path, **query))

    def _tabs(self) -> Sequence[tuple[str, str]]:
        acting = self.acting
        tabs = [
            ("/inbox", self.say("授权请求", "Requests"), acting.may(Power.ANSWER)),
            ("/consents", self.say("我的授权", "Consents"), True),
            ("/accesses", self.say("谁用了我的数据", "Who used my data"), acting.may(Power.SEE)),
            ("/notices", self.say("通知", "Notices"), acting.may(Power.SEE)),
            ("/reports", self.say("我的信用报告", "Credit reports"), acting.may_report),
            ("/delegations", self.say("委托代办", "Deputies"), acting.represents),
            ("/keys", self.say("签名密钥", "Keys"), acting.represents),
        ]
        return [(path, words) for path, words, open_ in tabs if open_]


ServeVisit = Callable[[Visit], Awaitable[Response]]
ServeCompany = Callable[[CompanyVisit], Awaitable[Response]]


def shell(
    visit: Visit,
    template: str,
    *,
    status: int,
    acting: Acting | None,
    tabs: Sequence[tuple[str, str]],
    tab: str,
    typed: bool,
    **content: object,
) -> Response:
    """Return ``template`` within the frame all pages of somebody signed in have.

    ``typed`` tells that people write something there, which going elsewhere would lose.
    """
    browser = visit.browser
    # What a form made cannot be asked for again, in whatever language.
    here = visit.request.url.path if visit.request.method == "GET" else ""
    return visit.pages.page(
        template,
        visit.language,
        status=status,
        here=here,
        query=kept_query(visit.request),
        path=visit.path,
        identity=visit.identity,
        fresh=visit.fresh,
        sign_out_token=browser.form_token("sign-out"),
        stay=staying(
            IDLE_SECONDS,
            browser.idle_at,
            browser.over_at,
            visit.language,
            link=same_page(visit.request, visit.language) if here else visit.path("/my/companies"),
            elsewhere=typed or not here,
        ),
        acting=acting,
        tabs=tabs,
        tab=tab,
        forms_lead_to=(),
        **content,
    )
