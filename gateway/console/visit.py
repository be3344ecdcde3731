"""One request of an administrator who is signed in, and how it is answered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self, TypeVar

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from gateway.console.parts import ConsoleParts
from gateway.console.tabs import TABS
from gateway.console.words import DONE, REFUSED, stopped
from gateway.pages.addresses import addressed, kept_query
from gateway.pages.forms import posted_here
from gateway.pages.moments import moment
from gateway.pages.rendering import Language, Pages, see_other
from gateway.pages.staying import staying
from gateway.pages.words import said
from gateway.signin.identity import Identity
from gateway.signin.sessions import IDLE_SECONDS, Browser
from operators.administrators import Administrator

Deed = Literal["open", "step-up", "closed"]
"""Whether somebody may do something: now, after signing in anew and strongly, or not."""

_Answer = TypeVar("_Answer", bound=Message)


class Refusal(NamedTuple):
    """Why the form that a page answers was refused: an HTTP status, and what the page tells."""

    status: int
    told: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by ``administrator``, who signed in as ``identity`` in ``browser``.

    ``place`` is the path of the page that is asked for, or that the posted form stands on;
    ``sent`` has the fields of that form once it is read, and ``refusal`` says why it was refused,
    where the page is shown to tell it.
    """

    parts: ConsoleParts
    pages: Pages
    request: Request
    language: Language
    browser: Browser
    identity: Identity
    administrator: Administrator
    now: int
    place: str
    sent: dict[str, str] = field(default_factory=dict[str, str])
    refusal: Refusal | None = None

    def refused(self, refusal: Refusal) -> Self:
        """Return this request as one whose form was refused, for the page to tell."""
        return replace(self, refusal=refusal)

    def entered(self, action: str) -> Mapping[str, str]:
        """Return what was entered into the form that is sent to ``action``, so that nobody has to
        enter again what was refused; nothing for every other form."""
        refused_here = (
            self.refusal is not None and action.partition("?")[0] == self.request.url.path
        )
        return self.sent if refused_here else {}

    def say(self, zh: str, en: str) -> str:
        """Return the words of the page's language."""
        return said(self.language, (zh, en))

    def at(self, path: str = "", **query: str) -> str:
        """Return a path of the console with ``query``, in the page's language."""
        return addressed(f"/console{path}", self.language, **query)

    def when(self, seconds: int) -> str:
        """Return an instant (seconds, UTC) as the page tells it."""
        return moment(seconds, self.language)

    def named(self, name: str) -> str:
        """Return the part of the path that is called ``name``."""
        return str(self.request.path_params.get(name, ""))

    def may(self, request: type[Message]) -> bool:
        """Tell whether who is signed in may call the method of ``request`` at all."""
        return self.parts.office.scope_of(request) in self.administrator.scopes

    def deed(self, request: type[Message]) -> Deed:
        """Tell whether who is signed in may call the method of ``request`` now."""
        scope = self.parts.office.scope_of(request)
        if scope not in self.administrator.scopes:
            return "closed"
        office = self.parts.office
        again = office.needs_step_up(self.identity, self.administrator, scope)
        return "step-up" if again else "open"

    async def ask(self, request: Message, answer: type[_Answer]) -> _Answer:
        """Return the answer to ``request``; see `Office.ask`."""
        return await self.parts.office.ask(self.identity, self.administrator, request, answer)

    async def every_page(self, request: Any, answer: type[_Answer]) -> _Answer:
        """Return all pages of a listing; see `Office.every_page`."""
        office = self.parts.office
        return await office.every_page(self.identity, self.administrator, request, answer)

    def token(self, *purpose: str) -> str:
        """Return what a form for ``purpose`` must send along."""
        return self.browser.form_token(" ".join(("console", *purpose)))

    async def form(self, *purpose: str) -> dict[str, str]:
        """Return the posted form, which was shown here for ``purpose``.

        Raises NotShown "changed" for any other, and FormRefused.
        """
        purposes = " ".join(("console", *purpose))
        self.sent.update(await posted_here(self.request, self.browser, purposes))
        return self.sent

    def sent_on(self, path: str, **query: str) -> Response:
        """Return the answer to a form that was taken: on to a page of the console."""
        return see_other(self.at(path, **query))

    def page(self, template: str, *, tab: str, **content: object) -> Response:
        """Return a page below ``tab`` within the frame of the console."""
        browser, query = self.browser, self.request.query_params
        kept, refusal = kept_query(self.request), self.refusal
        told = _told(REFUSED.get(query.get("refused", "")), self.language)
        return self.pages.page(
            template,
            self.language,
            status=refusal.status if refusal else 200,
            at=self.at,
            token=self.token,
            entered=self.entered,
            when=self.when,
            here=self.place,
            query=kept,
            administrator=self.administrator,
            sign_out_token=browser.form_token("sign-out"),
            stay=staying(
                IDLE_SECONDS,
                browser.idle_at,
                browser.over_at,
                self.language,
                link=addressed(self.place, self.language, **kept),
            ),
            tabs=self._tabs(),
            tab=tab,
            brakes=[
                stopped(brake.reach, brake.target, self.language)
                for brake in self.parts.view().authority.brakes.engaged()
            ],
            step_up=addressed("/console/sign-in", self.language, to=self.place, strong="1"),
            done=_told(DONE.get(query.get("done", "")), self.language),
            proposed=query.get("done", "") == "proposed",
            refused=refusal.told if refusal else told,
            forms_lead_to=(),
            **content,
        )

    def _tabs(self) -> Sequence[tuple[str, str]]:
        return [
            (path, said(self.language, words))
            for path, words, request in TABS
            if request is None or self.may(request)
        ]


Serve = Callable[[Visit], Awaitable[Response]]


def _told(words: tuple[str, str] | None, language: Language) -> str:
    return "" if words is None else said(language, words)
