"""The pages a person comes to from an application, and where they sign in: WCAG 2.2 AA.

By axe-core, as for a subject's own pages; and small, magnified, without sideways scrolling.
"""

import json

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.axe import faults
from tests.browser.conftest import Scene
from tests.installation import CONSENT_ITEM
from tests.people import COMPANY, ask

pytestmark = pytest.mark.asyncio(loop_scope="package")

READ = "credit.records:read"
PLAIN = {"type": "public_credit_data", "subjects": [COMPANY]}


def consent(scene: Scene) -> dict[str, object]:
    """Return a detail that asks for a consent."""
    return {
        **PLAIN,
        "items": [CONSENT_ITEM],
        "purposes": ["SUPPLIER_CHECK"],
        "regions": ["*"],
        "period": {"until": scene.gateway.installation.clock.now() + 86_400},
        "consent_terms": {
            "access_mode": "ONCE",
            "data_life": 86_400,
            "data_life_end": "DELETE",
            "message": "为审批贵单位的贷款申请（虚构）。",
        },
    }


async def looked_at(page: Page, language: str, found: list[str]) -> None:
    """Look at the page in its language, and for what has to be scrolled sideways."""
    await expect(page.locator("html")).to_have_attribute("lang", language)
    found += await faults(page)
    size = page.viewport_size
    assert size is not None
    await page.set_viewport_size(ViewportSize(width=320, height=480))
    if await page.evaluate("document.documentElement.scrollWidth") > 320:
        found.append(f"{page.url}: has to be scrolled sideways")
    await page.set_viewport_size(size)


@pytest.mark.parametrize(
    ("width", "english"),
    [
        pytest.param(390, False, id="phone, Chinese"),
        pytest.param(1280, True, id="desktop, English", marks=pytest.mark.soak),
    ],
)
async def test_axe_finds_nothing_from_the_request_to_the_answer(
    scene: Scene, page: Page, width: int, english: bool
) -> None:
    language = "en" if english else "zh-Hans"
    words = ("Sign in", "Do you") if english else ("登录", "是否同意")
    await page.set_viewport_size(ViewportSize(width=width, height=844))
    found: list[str] = []
    for detail in (PLAIN, consent(scene)):
        asking = await ask(
            scene.gateway,
            scene.party,
            READ,
            redirect_uri=scene.callback.url,
            authorization_details=json.dumps([detail]),
        )
        await page.goto(asking.url)
        if english:
            await page.get_by_role("link", name="English").click()
        if detail is PLAIN:
            await looked_at(page, language, found)
            await page.get_by_role("link", name=words[0]).click()
            await looked_at(page, language, found)
            await page.get_by_role("radio", name="李明").check()
            await page.get_by_role("button", name=words[0]).click()
        await expect(page.get_by_role("heading", name=words[1])).to_be_visible()
        await looked_at(page, language, found)
    assert not found, "\n".join(found)


async def test_axe_finds_nothing_where_somebody_may_not_approve(scene: Scene, page: Page) -> None:
    asking = await ask(
        scene.gateway,
        scene.party,
        READ,
        redirect_uri=scene.callback.url,
        authorization_details=json.dumps([PLAIN]),
    )
    found: list[str] = []
    await page.goto(asking.url)
    await page.get_by_role("link", name="登录").click()
    await page.get_by_role("radio", name="赵茜").check()
    await page.get_by_role("button", name="登录").click()
    await looked_at(page, "zh-Hans", found)
    await page.goto(f"{scene.gateway.running.issuer}/interaction/{'x' * 43}")
    await looked_at(page, "zh-Hans", found)
    assert not found, "\n".join(found)
