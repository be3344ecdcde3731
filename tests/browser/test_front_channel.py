"""The front channel as a person goes through it, the client being openid-client.

From the authorisation URL through signing in and approving to tokens that open a call;
denying; and what a browser must not let happen on the way.
"""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.async_api import Page, Request, expect

from tests.browser.conftest import Scene
from tests.node.code_flow import told
from tests.node.conftest import NodeCommand, node_command
from tests.parties import claims_in
from tests.people import COMPANY, ask

__all__ = ["node_command"]

pytestmark = pytest.mark.asyncio(loop_scope="package")

READ = "credit.records:read"
DETAILS = [{"type": "public_credit_data", "subjects": [COMPANY]}]


async def asked_url(scene: Scene) -> str:
    """Push a request of the scene's client and return the URL that browsers come with."""
    asking = await ask(
        scene.gateway,
        scene.party,
        READ,
        redirect_uri=scene.callback.url,
        authorization_details=json.dumps(DETAILS),
    )
    return asking.url


async def sign_in(page: Page, name: str) -> None:
    """Sign in at the development provider, from the page that asks for it."""
    await page.get_by_role("link", name="登录").click()
    await page.get_by_role("radio", name=name).check()
    await page.get_by_role("button", name="登录").click()


async def test_a_representative_approves_and_the_client_gets_its_answer(
    scene: Scene, page: Page, node_command: NodeCommand
) -> None:
    visited: set[str] = set()
    spoken: list[str] = []

    def note(request: Request) -> None:
        visited.add(urlsplit(request.url).netloc)

    page.on("request", note)
    page.on("console", lambda message: spoken.append(message.text))
    page.on("pageerror", lambda error: spoken.append(str(error)))

    async def decide(url: str) -> str:
        await page.goto(url)
        await sign_in(page, "李明")
        await expect(page.get_by_role("heading", name="是否同意？")).to_be_visible()
        await expect(page.get_by_text(COMPANY).first).to_be_visible()
        await page.get_by_role("button", name="同意").click()
        await page.wait_for_url(f"{scene.callback.url}*")
        return scene.callback.came_back_to

    answer = await told(
        node_command,
        scene.gateway,
        scene.party,
        decide,
        subject=COMPANY,
        redirect_uri=scene.callback.url,
        authorization_details=DETAILS,
    )
    assert "error" not in answer
    back = dict(parse_qsl(urlsplit(answer["came_back_to"]).query))
    assert set(back) == {"code", "iss", "state"}
    assert back["iss"] == scene.gateway.running.issuer
    # RFC 9700 section 4.2: the page that is left tells nobody of the code or the request.
    assert "referer" not in scene.callback.headers[0]
    claims = claims_in(answer["token"]["access_token"])
    assert claims["sub"].startswith("representative:")
    assert claims["authorization_details"][0]["subjects"] == [COMPANY]
    assert answer["call"]["answer"]["records"]
    assert answer["call_refreshed"]["answer"]["records"]
    # Gateway, provider and client: no other host, and no script or style was refused.
    assert len(visited) == 3
    assert not spoken


@pytest.mark.soak
async def test_who_denies_goes_back_without_a_code(
    scene: Scene, page: Page, node_command: NodeCommand
) -> None:
    async def decide(url: str) -> str:
        await page.goto(url)
        await sign_in(page, "李明")
        await page.get_by_role("button", name="拒绝").click()
        await page.wait_for_url(f"{scene.callback.url}*")
        return scene.callback.came_back_to

    answer = await told(
        node_command,
        scene.gateway,
        scene.party,
        decide,
        subject=COMPANY,
        redirect_uri=scene.callback.url,
        authorization_details=DETAILS,
    )
    assert answer["error"]["error"] == "access_denied"
    assert "code=" not in answer["came_back_to"]


async def test_the_pages_speak_english_when_asked(scene: Scene, page: Page) -> None:
    await page.goto(await asked_url(scene))
    assert await page.locator("html").get_attribute("lang") == "zh-Hans"
    await page.get_by_role("link", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_role("radio", name="李明").check()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Do you approve?")).to_be_visible()


async def test_a_decision_is_made_with_the_keyboard_alone(scene: Scene, page: Page) -> None:
    await page.goto(await asked_url(scene))
    await page.get_by_role("link", name="登录").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("radio", name="李明").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    approve = page.get_by_role("button", name="同意")
    await expect(approve).to_be_visible()
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await approve.evaluate("element => element === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{scene.callback.url}*")
    assert "code=" in scene.callback.came_back_to


async def test_a_decision_stays_made_whoever_goes_back(scene: Scene, page: Page) -> None:
    await page.goto(await asked_url(scene))
    await sign_in(page, "李明")
    await expect(page.get_by_role("button", name="同意")).to_be_visible()
    approval = page.url
    await page.get_by_role("button", name="拒绝").click()
    await page.wait_for_url(f"{scene.callback.url}*")
    await page.go_back()
    await page.goto(approval)
    await expect(page.get_by_role("heading", name="无法继续")).to_be_visible()
    await expect(page.get_by_role("button", name="同意")).to_have_count(0)


@pytest.mark.soak
async def test_who_represents_another_company_cannot_approve(scene: Scene, page: Page) -> None:
    await page.goto(await asked_url(scene))
    await sign_in(page, "赵茜")
    await expect(page.get_by_role("heading", name="您不能批准这个请求")).to_be_visible()
    await expect(page.get_by_role("button", name="同意", exact=True)).to_have_count(0)


async def test_no_other_site_can_put_the_pages_in_a_frame(scene: Scene, page: Page) -> None:
    """RFC 9700 section 4.16: clickjacking."""
    url = await asked_url(scene)
    await page.goto(scene.callback.url.removesuffix("/callback"))
    await page.evaluate(
        "url => { const frame = document.createElement('iframe');"
        " frame.src = url; document.body.append(frame); }",
        url,
    )
    for _ in range(100):
        # What Chromium shows in place of a page that is not to be framed.
        if page.frames[-1].url.startswith("chrome-error:"):
            break
        await page.wait_for_timeout(50)
    assert page.frames[-1].url.startswith("chrome-error:")


async def test_a_form_sent_from_elsewhere_decides_nothing(scene: Scene, page: Page) -> None:
    """RFC 9700 section 4.7: a site has the browser of somebody signed in send the approval."""
    await page.goto(await asked_url(scene))
    await sign_in(page, "李明")
    await expect(page.get_by_role("button", name="同意")).to_be_visible()
    approval = page.url
    await page.goto(scene.callback.url.removesuffix("/callback"))
    await page.evaluate(
        "url => { const form = document.createElement('form'); form.method = 'post';"
        " form.action = url; const field = document.createElement('input');"
        " field.name = 'decision'; field.value = 'approve'; form.append(field);"
        " document.body.append(form); form.submit(); }",
        approval,
    )
    # Without its cookie the form is nobody's: its page is shown again, and asks anew.
    await expect(page.get_by_role("button", name="同意")).to_be_visible()
    assert page.url.startswith(approval.partition("?")[0])
    assert not [target for target in scene.callback.targets if "code=" in target]
