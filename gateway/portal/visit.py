"""One request of who represents an operator, and how it is answered."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from gateway.pages.addresses import addressed, kept_query, same_page
from gateway.pages.moments import day, moment
from gateway.pages.rendering import Language, Pages
from gateway.pages.staying import staying
from gateway.pages.words import Words, said
from gateway.portal.parts import PortalParts
from gateway.signin.identity import Identity
from gateway.signin.sessions import IDLE_SECONDS, Browser
from operators.model import Operator

TABS: Final[tuple[tuple[str, Words], ...]] = (
    ("", ("总览", "Overview")),
    ("/use", ("用量与额度", "Use and quota")),
    ("/statements", ("账单", "Statements")),
    ("/conformance", ("一致性", "Conformance")),
    ("/alerts", ("异常提示", "Alerts")),
    ("/keys", ("密钥与期限", "Keys and terms")),
)
"""The sections of an operator's pages: path below them, and title."""

_P = ParamSpec("_P")
_Read = TypeVar("_Read")
_Answer = TypeVar("_Answer", bound=Message)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by ``identity``, who represents ``operator``, in ``browser``.

    ``others`` tells whether there are more operators they represent.
    """

    parts: PortalParts
    pages: Pages
    request: Request
    language: Language
    browser: Browser
    identity: Identity
    operator: Operator
    others: bool
    now: int

    def say(self, zh: str, en: str) -> str:
        """Return the words of the page's language."""
        return said(self.language, (zh, en))

    def at(self, path: str = "", **query: str) -> str:
        """Return a path of the operator's pages with ``query``, in the page's language."""
        return addressed(f"/portal/{self.operator.operator_id}{path}", self.language, **query)

    def when(self, seconds: int) -> str:
        """Return an instant (seconds, UTC) as the page tells it."""
        return moment(seconds, self.language)

    def day(self, seconds: int) -> str:
        """Return the day of an instant as the page tells it."""
        return day(seconds, self.language)

    def item(self, code: str) -> str:
        """Return a catalogue item as the page names it; "" for what is of no item."""
        item = self.parts.view().catalogue.get(code)
        return code if item is None else f"{self.say(item.name_zh, item.name_en)} ({code})"

    async def ask(self, request: Message, answer: type[_Answer]) -> _Answer:
        """Return the answer to ``request``; see `Window.ask`."""
        operator_id = self.operator.operator_id
        return await self.parts.window.ask(self.identity, operator_id, request, answer)

    def each(self, request: Message, answer: type[_Answer]) -> AsyncGenerator[_Answer]:
        """Yield the answers to ``request`` one by one; see `Window.each`."""
        return self.parts.window.each(self.identity, self.operator.operator_id, request, answer)

    async def read(self, work: Callable[_P, _Read], *args: _P.args, **kwargs: _P.kwargs) -> _Read:
        """Return what ``work`` reads, in the operator's share of the readers' time.

        Raises Refused RATE_EXCEEDED where too much of the operator's waits.
        """
        return await self.parts.shares.run(self.operator.operator_id, work, *args, **kwargs)

    def page(self, template: str, *, tab: str, status: int = 200, **content: object) -> Response:
        """Return a page below ``tab`` within the frame of the portal."""
        browser = self.browser
        return self.pages.page(
            template,
            self.language,
            status=status,
            at=self.at,
            when=self.when,
            day=self.day,
            here=self.request.url.path,
            query=kept_query(self.request),
            operator=self.operator,
            others=self.others,
            person=self.identity.name,
            sign_out_token=browser.form_token("sign-out"),
            stay=staying(
                IDLE_SECONDS,
                browser.idle_at,
                browser.over_at,
                self.language,
                link=same_page(self.request, self.language),
            ),
            tabs=[(path, said(self.language, words)) for path, words in TABS],
            tab=tab,
            forms_lead_to=(),
            **content,
        )


Serve = Callable[[Visit], Awaitable[Response]]
