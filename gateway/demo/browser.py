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


class PageUnexpected(Exception):
    """A page is not the one the demo knows; the message says which, and what it lacks."""


@dataclass(slots=True)
class _Form:
    action: str
    hidden: dict[str, str] = field(default_factory=dict[str, str])
    names: set[str] = field(default_factory=set[str])


class _Reading(HTMLParser):
    """What can be followed and sent on a page, and the one-time code it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[_Form] = []
        self.code = ""
        self._in_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a link, a form or a field of one."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append(_Form(given.get("action", "")))
        elif tag in {"input", "button"} and self.forms and "name" in given:
            form = self.forms[-1]
            form.names.add(given["name"])
            if given.get("type") == "hidden":
                form.hidden[given["name"]] = given.get("value", "")
        self._in_code = given.get("id") == _CODE_SHOWN

    def handle_endtag(self, tag: str) -> None:
        """End the code, if it was one."""
        del tag  # whichever ends, the code has no tag in it
        self._in_code = False

    def handle_data(self, data: str) -> None:
        """Take the code."""
        if self._in_code:
            self.code += data


class Browser:
    """One person's browser: it keeps cookies, and stops at ``redirect_uri``."""

    def __init__(self, http: httpx.AsyncClient, redirect_uri: str) -> None:
        self._http = http
        self._redirect_uri = redirect_uri
        self._url = ""
        self._page = _Reading()

    async def provider(self, url: str) -> str:
        """Return the origin of the identity provider where ``url`` lets people sign in."""
        await self._go(url)
        await self._follow("/sign-in")
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"

    async def approve(self, url: str, account: str) -> Mapping[str, str]:
        """Sign in as ``account`` where ``url`` leads to, approve, and return what comes back.

        Raises PageUnexpected, httpx.HTTPError.
        """
        await self._go(url)
        await self._follow("/sign-in")
        await self._submit(account=account)
        if self._page.code:
            await self._submit(code=self._page.code)
        await self._submit(decision="approve")
        if not self._url.startswith(self._redirect_uri):
            raise self._unexpected("a way back to the client")
        return dict(parse_qsl(urlsplit(self._url).query))

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

    async def _follow(self, part: str) -> None:
        for link in self._page.links:
            if part in link:
                await self._go(urljoin(self._url, link))
                return
        raise self._unexpected(f"a link with {part}")

    async def _submit(self, **chosen: str) -> None:
        for form in self._page.forms:
            if chosen.keys() <= form.names:
                await self._go(urljoin(self._url, form.action), {**form.hidden, **chosen})
                return
        raise self._unexpected(f"a form with {', '.join(chosen)}")

    def _unexpected(self, lacking: str) -> PageUnexpected:
        # Queries of these addresses hold codes.
        return PageUnexpected(f"The page {self._url.partition('?')[0]} lacks {lacking}.")


@asynccontextmanager
async def browser(ca: Path, redirect_uri: str) -> AsyncGenerator[Browser]:
    """Give a browser that trusts ``ca``, shows no certificate and has no cookies yet."""
    context = ssl.create_default_context(cafile=ca)
    async with httpx.AsyncClient(verify=context, follow_redirects=False) as http:
        yield Browser(http, redirect_uri)
