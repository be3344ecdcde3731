"""A browser without script, for the demo: it reads the real pages and sends their forms."""

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

_MOST_REDIRECTS: Final = 10
_CODE_SHOWN: Final = "shown-code"
_STATE_SHOWN: Final = "state "


class PageUnexpected(Exception):
    """A page is not the one the demo knows; the message says which, and what it lacks."""


@dataclass(slots=True)
class _Form:
    action: str
    hidden: dict[str, str] = field(default_factory=dict[str, str])
    names: set[str] = field(default_factory=set[str])


class _Reading(HTMLParser):
    """What can be followed and sent on a page, the one-time code and the state it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[_Form] = []
        self.code = ""
        self.state = ""
        self.text = ""
        self._in_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a link, a form or a field of one."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append(_Form(given.get("action", "")))
        elif tag in {"input", "button", "select"} and self.forms and "name" in given:
            form = self.forms[-1]
            form.names.add(given["name"])
            if given.get("type") == "hidden":
                form.hidden[given["name"]] = given.get("value", "")
        elif tag == "span" and given.get("class", "").startswith(_STATE_SHOWN):
            self.state = given["class"].removeprefix(_STATE_SHOWN)
        self._in_code = given.get("id") == _CODE_SHOWN

    def handle_endtag(self, tag: str) -> None:
        """End the code, if it was one."""
        del tag  # whichever ends, the code has no tag in it
        self._in_code = False

    def handle_data(self, data: str) -> None:
        """Take the words, and the code among them."""
        self.text += data
        if self._in_code:
            self.code += data


class Browser:
    """One person's browser: it keeps cookies, and stops at ``redirect_uri``."""

    def __init__(self, http: httpx.AsyncClient, redirect_uri: str) -> None:
        self._http = http
        self._redirect_uri = redirect_uri
        self._url = ""
        self._page = _Reading()

    @property
    def state(self) -> str:
        """Where the consent stands that the page is about; "" where it is about none."""
        return self._page.state

    @property
    def text(self) -> str:
        """The words of the page."""
        return self._page.text

    async def provider(self, url: str) -> str:
        """Return the origin of the identity provider where ``url`` lets people sign in."""
        await self.visit(url)
        await self.follow("/sign-in")
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"

    async def sign_in(self, url: str, account: str) -> None:
        """Sign in as ``account`` where ``url`` leads to, and see the page behind it.

        As all that follow, raises PageUnexpected, httpx.HTTPError.
        """
        await self.visit(url)
        await self.follow("/sign-in")
        await self.send(account=account)
        if self._page.code:
            await self.send(code=self._page.code)

    async def approve(self) -> Mapping[str, str]:
        """Approve what the page asks, and return what comes back to the client."""
        await self.send(decision="approve")
        if not self._url.startswith(self._redirect_uri):
            raise self._unexpected("a way back to the client")
        return dict(parse_qsl(urlsplit(self._url).query))

    async def visit(self, url: str) -> None:
        """See the page at ``url``."""
        await self._go(url)

    async def follow(self, part: str) -> None:
        """Follow the first link whose address has ``part``."""
        for link in self._page.links:
            if part in link:
                await self._go(urljoin(self._url, link))
                return
        raise self._unexpected(f"a link with {part}")

    async def send(self, to: str = "", **chosen: str) -> None:
        """Send the first form to an address with ``to`` that has the fields ``chosen``."""
        for form in self._page.forms:
            if to in form.action and chosen.keys() <= form.names:
                await self._go(urljoin(self._url, form.action), {**form.hidden, **chosen})
                return
        raise self._unexpected(f"a form with {to or ', '.join(chosen)}")

    async def _go(self, url: str, form: Mapping[str, str] | None = None) -> None:
        method = "GET" if form is None else "POST"
        response = await self._http.request(method, url, data=form)
        for _ in range(_MOST_REDIRECTS):
            location = response.headers.get("location")
            self._url = str(response.url)
            if location is None:
                break
            self._url = urljoin(self._url, location)
            if self._url.startswith(self._redirect_uri):
                break
            response = await self._http.get(self._url)
        self._page = _Reading()
        self._page.feed(response.text)

    def _unexpected(self, lacking: str) -> PageUnexpected:
        # Queries of these addresses hold codes.
        return PageUnexpected(f"The page {self._url.partition('?')[0]} lacks {lacking}.")


@asynccontextmanager
async def browser(ca: Path, redirect_uri: str) -> AsyncGenerator[Browser]:
    """Give a browser that trusts ``ca``, shows no certificate and has no cookies yet."""
    context = ssl.create_default_context(cafile=ca)
    async with httpx.AsyncClient(verify=context, follow_redirects=False, trust_env=False) as http:
        yield Browser(http, redirect_uri)
