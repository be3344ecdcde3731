"""One browser and one gateway for the tests of the pages that an application leads to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.attacks.ground import awake
from tests.browser.callback import Callback, listening
from tests.browser.chromium import chromium
from tests.installation import PUBLISHER, Gateway, Installation
from tests.parties import WITH_CODE, Party, enrolled
from tests.people import COMPANY, SETTINGS
from tests.server.calls import draft, publish
from tests.stores import SqliteStores


@dataclass(frozen=True)
class Scene:
    """A gateway with its development provider, a client of an operator, and a browser."""

    gateway: Gateway
    party: Party
    callback: Callback
    browser: Browser


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def scene(sqlite_stores: SqliteStores) -> AsyncIterator[Scene]:
    """All of it, running."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with listening() as callback:
            party = enrolled(
                installation,
                "alpha-portal",
                grant_types=WITH_CODE,
                redirect_uris={callback.url},
            )
            async with (
                installation.running(**SETTINGS) as gateway,
                chromium(installation.home.server_certificate) as browser,
            ):
                async with gateway.channel(PUBLISHER) as channel:
                    await publish(channel, [draft("r-1", COMPANY)])
                yield Scene(gateway, party, callback, browser)
        installation.close()


@pytest_asyncio.fixture(loop_scope="package")
async def page(scene: Scene) -> AsyncIterator[Page]:
    """An empty page of a visitor who was never here."""
    await awake(scene.gateway)
    scene.callback.targets.clear()
    scene.callback.headers.clear()
    context = await scene.browser.new_context(locale="zh-CN")
    context.set_default_timeout(10_000)
    yield await context.new_page()
    await context.close()
