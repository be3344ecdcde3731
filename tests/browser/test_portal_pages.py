"""The operators' portal as people use it: WCAG 2.2 AA, on a phone and a desktop.

By axe-core, by its width, and by going through it with the keyboard alone.
"""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, ViewportSize, expect

from gateway.portal.app import SHOWN
from gateway.settle.month import month_of
from tests.browser.chromium import chromium
from tests.browser.site import DESKTOP, PHONE, Site, in_either_language, looks, signed_in
from tests.docs.images import PORTAL_PICTURES
from tests.installation import OPERATOR_ID, Installation
from tests.portal.world import PortalWorld, running_portal
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")

PortalSite = Site[PortalWorld]
FOLDER = os.environ.get("CREDITGATE_SCREENSHOTS", "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[PortalSite]:
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
            kept = await signed_in(browser, world.url(), "李明", "总览")
            yield Site(world, browser, paths, kept)
        installation.close()


@looks()
async def test_axe_finds_nothing_against_wcag_22_aa(
    site: PortalSite, size: ViewportSize, language: str
) -> None:
    async def pictured(page: Page, path: str) -> None:
        """Take the picture of a page for docs/operators.md, where they are asked for: of a
        desktop in Chinese, of a phone in English."""
        section = path.removeprefix(f"/{OPERATOR_ID}").removeprefix("/") or "overview"
        name = f"portal-{section.split('/')[0]}{'-phone' if size == PHONE else ''}"
        shown = language == ("en" if size == PHONE else "zh") and "/" not in section
        if FOLDER and shown and name in PORTAL_PICTURES:
            await page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True)

    found = await site.faults("", size, language, pictured)
    assert not found, "\n".join(found)


@in_either_language
async def test_pages_are_clear_in_the_dark_and_nothing_has_to_be_scrolled_sideways(
    site: PortalSite, language: str
) -> None:
    found = await site.faint_or_wide(language)
    assert not found, "\n".join(found)


async def test_a_long_name_of_an_operator_makes_no_page_wide(site: PortalSite) -> None:
    operator = site.world.authority.operators[OPERATOR_ID]
    await site.world.become(OPERATOR_ID, display_name="M" * 200)
    page = await site.opened(PHONE)
    await page.goto(site.url(f"/{OPERATOR_ID}"))
    await expect(page.get_by_text("M" * 200)).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    await page.context.close()
    await site.world.become(OPERATOR_ID, display_name=operator.display_name)


async def test_a_chart_is_a_named_picture_with_its_table_behind(site: PortalSite) -> None:
    page = await site.opened(PHONE)
    await page.goto(site.url(f"/{OPERATOR_ID}", "en"))
    seen = re.compile("^Records used, by day .* in all, 3 on the busiest day")
    await expect(page.get_by_role("img", name=seen)).to_be_visible()
    await page.locator("summary", has_text="As a table").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("cell", name="3", exact=True)).to_have_count(1)
    assert await page.get_by_role("row").count() == 31
    await page.context.close()


async def test_a_statement_is_reached_by_the_keyboard_alone(site: PortalSite) -> None:
    page = await site.opened(DESKTOP)
    await page.goto(site.url(f"/{OPERATOR_ID}"))
    await page.get_by_role("link", name="账单", exact=True).focus()
    await page.keyboard.press("Enter")
    month = month_of(site.world.installation.clock.now()).name
    await page.get_by_role("link", name=month).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=f"账单 · {month}")).to_be_visible()
    await expect(page.get_by_role("heading", name="明细")).to_be_visible()
    await page.context.close()
