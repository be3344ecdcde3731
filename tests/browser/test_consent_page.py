"""A consent by authorisation code as a person gives it, the client being openid-client."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.async_api import Page, ViewportSize, expect

from consent.sql import SqlConsents
from consent.states import GRANTED
from tests.browser.axe import faults
from tests.browser.conftest import Scene
from tests.browser.test_front_channel import sign_in
from tests.installation import CONSENT_ITEM, PUBLISHER
from tests.node.code_flow import told
from tests.node.conftest import NodeCommand, node_command
from tests.parties import claims_in
from tests.people import COMPANY, ask
from tests.server.calls import draft, publish

__all__ = ["node_command"]

pytestmark = pytest.mark.asyncio(loop_scope="package")

READ = "credit.records:read"
SIZES = {
    "phone": ViewportSize(width=390, height=844),
    "desktop": ViewportSize(width=1280, height=900),
    "320 px": ViewportSize(width=320, height=480),
}


def asking(scene: Scene) -> list[dict[str, Any]]:
    """Return details that ask for a consent."""
    now = scene.gateway.installation.clock.now()
    return [
        {
            "type": "public_credit_data",
            "items": [CONSENT_ITEM],
            "subjects": [COMPANY],
            "purposes": ["SUPPLIER_CHECK"],
            "regions": ["*"],
            "period": {"until": now + 90 * 86_400},
            "consent_terms": {
                "access_mode": "WITHIN_PERIOD",
                "data_life": 30 * 86_400,
                "data_life_end": "DELETE",
                "message": "为核验贵单位的供货资格（虚构）。",
            },
        }
    ]


async def asked_url(scene: Scene) -> str:
    """Push a request for a consent and return the URL that browsers come with."""
    asked = await ask(
        scene.gateway,
        scene.party,
        READ,
        redirect_uri=scene.callback.url,
        authorization_details=json.dumps(asking(scene)),
    )
    return asked.url


async def shown(scene: Scene, page: Page) -> None:
    """Bring the representative to the page of a consent."""
    await page.goto(await asked_url(scene))
    await sign_in(page, "李明")
    await expect(page.get_by_role("heading", name="是否同意授权？")).to_be_visible()


async def test_a_certified_client_gets_a_token_for_a_consent_and_what_it_opens(
    scene: Scene, page: Page, node_command: NodeCommand
) -> None:
    async with scene.gateway.channel(PUBLISHER) as channel:
        await publish(channel, [draft("tax-1", COMPANY, CONSENT_ITEM)])
    spoken: list[str] = []
    page.on("console", lambda message: spoken.append(message.text))
    page.on("pageerror", lambda error: spoken.append(str(error)))

    async def decide(url: str) -> str:
        await page.goto(url)
        await sign_in(page, "李明")
        await expect(page.get_by_text("为核验贵单位的供货资格")).to_be_visible()
        await page.get_by_role("button", name="同意授权").click()
        await page.wait_for_url(f"{scene.callback.url}*")
        return scene.callback.came_back_to

    answer = await told(
        node_command,
        scene.gateway,
        scene.party,
        decide,
        subject=COMPANY,
        redirect_uri=scene.callback.url,
        authorization_details=asking(scene),
    )
    assert "error" not in answer
    back = dict(parse_qsl(urlsplit(answer["came_back_to"]).query))
    assert set(back) == {"code", "iss", "state"}
    (detail,) = answer["token"]["authorization_details"]
    assert claims_in(answer["token"]["access_token"])["authorization_details"] == [detail]
    consents = SqlConsents(scene.gateway.installation.engines.records)
    consent = consents.get(detail["consent"].removeprefix("consents/"))
    assert consent is not None
    assert (consent.state, consent.subject) == (GRANTED, COMPANY)
    for call in (answer["call"], answer["call_refreshed"]):
        (record,) = call["answer"]["records"]
        assert (record["item"], record["subject"]) == (CONSENT_ITEM, COMPANY)
    # The client gave its grant up; the consent is the subject's to end.
    assert answer["call_after"]["refusal"]["reason"] == "TOKEN_REVOKED"
    assert not spoken


@pytest.mark.parametrize(
    "size",
    [
        "320 px",
        pytest.param("phone", marks=pytest.mark.soak),
        pytest.param("desktop", marks=pytest.mark.soak),
    ],
)
async def test_the_page_of_a_consent_is_for_everybody_to_use(
    scene: Scene, page: Page, size: str
) -> None:
    """WCAG 2.2 AA, as far as axe-core can tell; reflow; both answers the same to the eye."""
    await page.set_viewport_size(SIZES[size])
    await shown(scene, page)
    found = await faults(page)
    looks = [
        await page.get_by_role("button", name=name, exact=True).evaluate(
            "e => { const s = getComputedStyle(e), b = e.getBoundingClientRect();"
            " return [s.color, s.backgroundColor, s.fontSize, s.fontWeight, s.borderColor,"
            " Math.round(b.width), Math.round(b.height)]; }"
        )
        for name in ("同意授权", "不同意")
    ]
    await page.get_by_role("link", name="English").click()
    await expect(page.get_by_role("heading", name="Do you consent?")).to_be_visible()
    assert not [*found, *await faults(page)]
    assert looks[0] == looks[1]
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= SIZES[size]["width"]


async def test_a_consent_is_refused_with_the_keyboard_alone(scene: Scene, page: Page) -> None:
    await shown(scene, page)
    refuse = page.get_by_role("button", name="不同意")
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await refuse.evaluate("element => element === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{scene.callback.url}*")
    assert "error=access_denied" in scene.callback.came_back_to
