"""The operators' portal as people use it: WCAG 2.2 AA, on a phone and a desktop.

By axe-core, by its width, and by going through it with the keyboard alone.
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, StorageState, ViewportSize, expect

from gateway.portal.app import SHOWN
from gateway.settle.month import month_of
from tests.browser.axe import faults
from tests.browser.chromium import chromium
from tests.docs.images import PORTAL_PICTURES
from tests.installation import OPERATOR_ID, Installation
from tests.portal.world import PortalWorld, running_portal
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)
FOLDER = os.environ.get("CREDITGATE_SCREENSHOTS", "")


@dataclass(frozen=True)
class Site:
    """A gateway with something on every page, and a browser."""

    world: PortalWorld
    browser: Browser
    paths: tuple[str, ...]
    signed_in: StorageState

    def url(self, path: str, language: str = "zh") -> str:
        """Return the address of a page in a language."""
        mark = "&" if "?" in path else "?"
        return self.world.url(path if language == "zh" else f"{path}{mark}lang=en")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[Site]:
    """All of it, running."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with (
            running_portal(installation) as world,
            chromium(installation.home.server_certificate) as browser,
        ):
            await world.use(3)
            world.used_before(40)
            await world.hold("never-served")
            world.alert()
            world.alert(looked_into=True)
            month = month_of(installation.clock.now()).name
            shown = (f"/{OPERATOR_ID}{path.format(month=month)}" for path, _ in SHOWN)
            paths = *shown, "/nobody/use"
            yield Site(world, browser, paths, await signed_in(world, browser))
        installation.close()


async def signed_in(world: PortalWorld, browser: Browser) -> StorageState:
    """Return what a browser keeps in which a representative is signed in."""
    context = await browser.new_context(locale="zh-CN")
    page = await context.new_page()
    await page.goto(world.url())
    await page.get_by_role("link", name="登录").click()
    await page.get_by_role("radio", name="李明").check()
    await page.get_by_role("button", name="登录").click()
    await expect(page.get_by_role("heading", name="总览")).to_be_visible()
    kept = await context.storage_state()
    await context.close()
    return kept


async def opened(site: Site, size: ViewportSize, *, dark: bool = False) -> Page:
    """Return a page of a browser of that size, in which the representative is signed in."""
    context = await site.browser.new_context(
        viewport=size,
        locale="zh-CN",
        color_scheme="dark" if dark else "light",
        storage_state=site.signed_in,
    )
    context.set_default_timeout(10_000)
    return await context.new_page()


@pytest.mark.parametrize(
    ("size", "language"),
    [
        pytest.param(PHONE, "en", id="phone, English"),
        pytest.param(DESKTOP, "zh", id="desktop, Chinese"),
        # What differs in these two was looked at in the others.
        pytest.param(PHONE, "zh", id="phone, Chinese", marks=pytest.mark.soak),
        pytest.param(DESKTOP, "en", id="desktop, English", marks=pytest.mark.soak),
    ],
)
async def test_axe_finds_nothing_against_wcag_22_aa(
    site: Site, size: ViewportSize, language: str
) -> None:
    context = await site.browser.new_context(viewport=size, locale="zh-CN")
    stranger = await context.new_page()
    await stranger.goto(site.url("", language))
    found = await faults(stranger)
    page = await opened(site, size)
    for path in site.paths:
        await page.goto(site.url(path, language))
        found += await faults(page)
        await pictured(page, path, size, language)
    assert not found, "\n".join(found)
    await page.context.close()
    await context.close()


async def pictured(page: Page, path: str, size: ViewportSize, language: str) -> None:
    """Take the picture of a page for docs/operators.md, where they are asked for: of a
    desktop in Chinese, of a phone in English."""
    section = path.removeprefix(f"/{OPERATOR_ID}").removeprefix("/") or "overview"
    name = f"portal-{section.split('/')[0]}{'-phone' if size == PHONE else ''}"
    shown = language == ("en" if size == PHONE else "zh") and "/" not in section
    if FOLDER and shown and name in PORTAL_PICTURES:
        await page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True)


async def test_contrast_is_enough_in_the_dark(site: Site) -> None:
    page = await opened(site, DESKTOP, dark=True)
    found: list[str] = []
    for path in site.paths:
        await page.goto(site.url(path))
        found += await faults(page, only=["color-contrast"])
    assert not found, "\n".join(found)
    await page.context.close()


async def test_nothing_has_to_be_scrolled_sideways(site: Site) -> None:
    """Success criteria 1.4.10 and 1.4.4: 320 px wide, and 1280 px magnified to twice."""
    wide: list[str] = []
    page = await opened(site, PHONE)
    for path in site.paths:
        await page.goto(site.url(path))
        for width in (320, 640):
            await page.set_viewport_size(ViewportSize(width=width, height=480))
            needed = await page.evaluate("document.documentElement.scrollWidth")
            if needed > width:
                wide.append(f"{path}: {needed}")
    await page.context.close()
    assert not wide


async def test_a_chart_is_a_named_picture_with_its_table_behind(site: Site) -> None:
    page = await opened(site, PHONE)
    await page.goto(site.url(f"/{OPERATOR_ID}", "en"))
    seen = re.compile("^Records used, by day .* in all, 3 on the busiest day")
    await expect(page.get_by_role("img", name=seen)).to_be_visible()
    await page.locator("summary", has_text="As a table").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("cell", name="3", exact=True)).to_have_count(1)
    assert await page.get_by_role("row").count() == 31
    await page.context.close()


async def test_a_statement_is_reached_by_the_keyboard_alone(site: Site) -> None:
    page = await opened(site, DESKTOP)
    await page.goto(site.url(f"/{OPERATOR_ID}"))
    await page.get_by_role("link", name="账单", exact=True).focus()
    await page.keyboard.press("Enter")
    month = month_of(site.world.installation.clock.now()).name
    await page.get_by_role("link", name=month).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=f"账单 · {month}")).to_be_visible()
    await expect(page.get_by_role("heading", name="明细")).to_be_visible()
    await page.context.close()
