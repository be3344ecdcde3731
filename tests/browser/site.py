"""A site whose every page is looked at the same way: by axe-core, in the dark, and narrow."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, Protocol, TypeVar

import pytest
from playwright.async_api import Browser, Page, StorageState, ViewportSize, expect

from tests.browser.axe import faults

PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)
_SIZES = {"phone": PHONE, "desktop": DESKTOP}
_LANGUAGES = {"zh": "Chinese", "en": "English"}
_NARROW = (320, 640)
_SET_STYLE = (
    "style => { const own = new CSSStyleSheet(); own.replaceSync(style);"
    " document.adoptedStyleSheets = [own]; }"
)


class Shown(Protocol):
    """A running gateway of which pages are shown."""

    def url(self, path: str, /) -> str:
        """Return the address of a page in Chinese."""
        ...


_World = TypeVar("_World", bound=Shown)
Look = Callable[[Page, str], Awaitable[None]]


def looks(*usual: tuple[str, str]) -> pytest.MarkDecorator:
    """Ask a test with each ``size`` and ``language``; those that are not ``usual`` only where
    there is time: the pages of companies, operators and administrators share their frame and styles,
    and each is asked by every rule in each run, in the light or in the dark."""
    return pytest.mark.parametrize(
        ("size", "language"),
        [
            pytest.param(
                _SIZES[size],
                language,
                id=f"{size}, {_LANGUAGES[language]}",
                marks=() if (size, language) in usual else pytest.mark.soak,
            )
            for size, language in product(_SIZES, _LANGUAGES)
        ],
    )


in_either_language = pytest.mark.parametrize(
    "language",
    [
        # Its words are the longer ones.
        pytest.param("en", id="English"),
        pytest.param("zh", id="Chinese", marks=pytest.mark.soak),
    ],
)


@dataclass(frozen=True)
class Site(Generic[_World]):
    """A gateway with something on every page of ``paths``, and a browser; ``signed_in`` is what a
    browser keeps of who is signed in."""

    world: _World
    browser: Browser
    paths: tuple[str, ...]
    signed_in: StorageState

    def url(self, path: str, language: str = "zh") -> str:
        """Return the address of a page in a language."""
        mark = "&" if "?" in path else "?"
        return self.world.url(path if language == "zh" else f"{path}{mark}lang=en")

    async def opened(self, size: ViewportSize) -> Page:
        """Return a page of a browser of that size, in which somebody is signed in."""
        context = await self.browser.new_context(
            viewport=size, locale="zh-CN", storage_state=self.signed_in
        )
        context.set_default_timeout(10_000)
        return await context.new_page()

    async def faults(
        self, stranger: str, size: ViewportSize, language: str, look: Look | None = None
    ) -> list[str]:
        """Return what axe-core finds on the page ``stranger``, where nobody is signed in, and on
        every other; ``look`` is shown each of these."""
        context = await self.browser.new_context(viewport=size, locale="zh-CN")
        page = await context.new_page()
        await page.goto(self.url(stranger, language))
        found = await faults(page)
        await context.close()
        page = await self.opened(size)
        for path in self.paths:
            await page.goto(self.url(path, language))
            found += await faults(page)
            if look is not None:
                await look(page, path)
        await page.context.close()
        return found

    async def faint_or_wide(
        self, language: str, *styles: str, rules: Sequence[str] = ()
    ) -> list[str]:
        """Return what axe-core finds in the dark by ``rules``, all for none, and which pages have to
        be scrolled sideways.

        Success criteria 1.4.3 and 1.4.11; 1.4.10 and 1.4.4: 320 px wide, and 1280 px magnified to
        twice; 1.4.12 with ``styles`` of a person's own.
        """
        page = await self.opened(PHONE)
        await page.emulate_media(color_scheme="dark")
        found: list[str] = []
        for path in self.paths:
            await page.set_viewport_size(DESKTOP)
            await page.goto(self.url(path, language))
            found += await faults(page, only=rules)
            for width, style in product(_NARROW, ("", *styles)):
                await page.set_viewport_size(ViewportSize(width=width, height=480))
                await page.evaluate(_SET_STYLE, style)
                needed = await page.evaluate("document.documentElement.scrollWidth")
                if needed > width:
                    found.append(f"{path}: {language}, {needed} px of {width}, {style}")
        await page.context.close()
        return found


async def signed_in(browser: Browser, url: str, who: str, heading: str) -> StorageState:
    """Sign somebody in at a page, on which they see a heading then; return what the browser keeps."""
    context = await browser.new_context(locale="zh-CN")
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_role("link", name="登录").click()
    await page.get_by_role("radio", name=who).check()
    await page.get_by_role("button", name="登录").click()
    await expect(page.get_by_role("heading", name=heading)).to_be_visible()
    kept = await context.storage_state()
    await context.close()
    return kept
