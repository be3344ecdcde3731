"""The pages against those who would use them: forged forms, planted cookies, frames, detours."""

import re
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.signin.sessions import COOKIE
from operators.model import OPERATOR
from tests.installation import Installation
from tests.interaction.consent_flow import new_operator
from tests.interaction.world import PERSON, World
from tests.people import Browser, answer_of, browser, console, fields_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAGES = ("sign-in", "approve", "cannot-approve", "over")


async def page(world: World, name: str) -> httpx.Response:
    """Return one of the pages."""
    if name == "over":
        return await world.browser.go(f"{world.gateway.running.issuer}/interaction/{'x' * 43}")
    asking = await world.ask()
    if name == "sign-in":
        return await world.browser.go(asking.url)
    return await world.approval_page(asking, PERSON if name == "approve" else "wang-jun")


def cookies_of(responses: list[httpx.Response]) -> list[str]:
    """Return the gateway's cookies that were set, in order."""
    set_ = [value for response in responses for value in response.headers.get_list("set-cookie")]
    return [value for value in set_ if value.startswith(f"{COOKIE}=")]


@pytest.mark.parametrize("name", PAGES)
async def test_pages_run_no_script_load_nothing_and_cannot_be_framed(
    world: World, name: str
) -> None:
    response = await page(world, name)
    policy = dict(
        [*part.strip().split(" ", 1), ""][:2]
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["form-action"] in {"'self'", "'self' http://127.0.0.1:1"}
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "max-age=" in response.headers["strict-transport-security"]
    assert "access-control-allow-origin" not in response.headers
    assert not re.search(r"<script|<style|style=| on\w+=|javascript:", response.text)


@pytest.mark.parametrize("name", PAGES)
async def test_pages_speak_chinese_first_and_english_on_request(world: World, name: str) -> None:
    chinese = await page(world, name)
    assert '<html lang="zh-Hans">' in chinese.text
    english = await world.browser.go(f"{str(chinese.url).split('?')[0]}?lang=en")
    assert '<html lang="en">' in english.text
    words = re.sub(r'<a [^>]*lang="zh-Hans".*?</a>|（虚构）|<strong>.*?</strong>', "", english.text)
    assert not re.search(r"[\u4e00-\u9fff]", words)


async def test_the_language_chosen_stays_through_the_sign_in(world: World) -> None:
    asking = await world.ask()
    shown = await world.browser.follow(await world.browser.go(asking.url), "lang=en")
    shown = await world.browser.sign_in(shown, PERSON)
    assert "Do you approve?" in shown.text


async def test_the_session_cookie_is_out_of_reach(world: World) -> None:
    await world.approval_page(await world.ask())
    (first, second) = cookies_of(world.browser.seen)
    for cookie in (first, second):
        for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie
    assert COOKIE.startswith("__Host-")


async def test_signing_in_changes_the_cookie_and_a_planted_one_stays_worthless(
    world: World,
) -> None:
    asking = await world.ask()
    shown = await world.browser.go(asking.url)
    planted = world.browser.http.cookies[COOKIE]
    await world.browser.sign_in(shown, PERSON)
    assert world.browser.http.cookies[COOKIE] != planted
    async with browser(world.installation) as attacker:
        attacker.http.cookies.set(COOKIE, planted)
        shown = await attacker.go((await world.ask()).url)
        assert "请先登录" in shown.text


async def test_an_approval_without_the_forms_token_is_not_taken(world: World) -> None:
    asking = await world.ask()
    shown = await world.approval_page(asking)
    fields = fields_of(shown.text)
    path = str(shown.url)
    async with browser(world.installation) as stranger:
        theirs = fields_of((await world.approval_page(await world.ask(), PERSON, stranger)).text)
    other = fields_of((await world.browser.go((await world.ask()).url)).text)
    for forged in (
        {},
        {"approve_token": ""},
        {"approve_token": "0" * 64},
        {"approve_token": theirs["approve_token"]},
        {"approve_token": other["approve_token"]},
        {"approve_token": fields["deny_token"]},
        {"deny_token": fields["approve_token"]},
    ):
        refused = await world.browser.go(path, decision="approve", **forged)
        assert refused.status_code == 403, forged
    # The request still waits, and the true form is taken.
    done = await world.browser.submit(shown, decision="approve")
    assert "code" in answer_of(done)


async def test_a_denial_without_the_forms_token_is_not_taken(world: World) -> None:
    shown = await world.browser.go((await world.ask()).url)
    for forged in ({}, {"deny_token": "0" * 64}):
        refused = await world.browser.go(str(shown.url), decision="deny", **forged)
        assert refused.status_code == 403
    assert "请先登录" in (await world.browser.go(str(shown.url))).text


async def test_a_decision_is_taken_once(world: World) -> None:
    shown = await world.approval_page(await world.ask())
    first = await world.browser.submit(shown, decision="approve")
    assert "code" in answer_of(first)
    for decision in ("approve", "deny"):
        again = await world.browser.submit(shown, decision=decision)
        assert again.status_code == 404


async def test_forms_and_the_sign_in_are_answered_by_303(world: World) -> None:
    # A 307 would make the browser post what it was given once more, elsewhere.
    for decision in ("approve", "deny"):
        async with browser(world.installation) as visitor:
            shown = await world.approval_page(await world.ask(), PERSON, visitor)
            answer_of(await visitor.submit(shown, decision=decision))
        sent_on = [
            (seen.request.method, f"/{seen.url.path.split('/')[1]}", seen.status_code)
            for seen in visitor.seen
            if "location" in seen.headers
        ]
        assert sent_on[-3:] == [
            ("POST", "/sign-in", 303),
            ("GET", "/signin", 303),
            ("POST", "/interaction", 303),
        ]
        assert {status for _, _, status in sent_on} == {303}


async def callback_of(world: World, visitor: Browser, subject: str) -> str:
    """Return the address the provider sends a browser back to, which does not go there."""
    shown = await visitor.follow(await visitor.go((await world.ask()).url), "/sign-in")
    form = fields_of(shown.text)
    chosen = await visitor.http.post(f"{world.issuer}/sign-in", data={**form, "account": subject})
    return chosen.headers["location"]


async def test_another_browsers_sign_in_signs_nobody_in(world: World) -> None:
    # Login CSRF: the attacker's own answer, followed by the victim's browser.
    async with browser(world.installation) as attacker:
        url = await callback_of(world, attacker, "wang-jun")
    await world.browser.go((await world.ask()).url)
    refused = await world.browser.go(url)
    assert refused.status_code == 403
    assert "不是在这个浏览器里发起的" in refused.text
    assert "请先登录" in (await world.browser.go((await world.ask()).url)).text


async def test_a_sign_ins_answer_counts_once_and_with_its_state(world: World) -> None:
    url = await callback_of(world, world.browser, PERSON)
    wrong = httpx.URL(url).copy_set_param("state", "x" * 43)
    assert (await world.browser.go(str(wrong))).status_code == 403
    assert "是否同意" in (await world.browser.go(url)).text
    assert (await world.browser.go(url)).status_code == 403


@pytest.mark.parametrize(
    "change", [{"iss": "https://elsewhere.test"}, {"code": "x"}, {"iss": ""}, {"code": ""}]
)
async def test_an_answer_that_was_changed_on_its_way_signs_nobody_in(
    world: World, change: dict[str, str]
) -> None:
    url = httpx.URL(await callback_of(world, world.browser, PERSON))
    for name, value in change.items():
        url = url.copy_set_param(name, value) if value else url.copy_remove_param(name)
    assert (await world.browser.go(str(url))).status_code == 403
    assert "请先登录" in (await world.browser.go((await world.ask()).url)).text


async def test_no_parameter_leads_the_browser_elsewhere(world: World) -> None:
    asking = await world.ask()
    shown = await world.browser.go(asking.url)
    evil = "https://evil.test/"
    for url in (
        f"{shown.url}&return_to={evil}&redirect_uri={evil}&next={evil}",
        f"{str(shown.url).split('?')[0]}/sign-in?return_to={evil}&redirect_uri={evil}",
        f"{world.gateway.running.issuer}/interaction/{evil}",
        f"{world.gateway.running.issuer}//evil.test/interaction/x",
    ):
        await world.browser.go(url)
    hosts = {response.url.host for response in world.browser.seen}
    assert hosts == {urlsplit(world.issuer).hostname}
    assert all("evil" not in str(r.headers.get("location", "")) for r in world.browser.seen)


async def test_what_operators_call_themselves_is_never_markup(world: World) -> None:
    party = await new_operator(world)
    known, installation = party.record.operator_id, world.installation
    document = installation.log.history(kind=OPERATOR, id=known, after=0, limit=9)[-1]
    name = '<script>alert(1)</script>"><img src=x>'
    installation.put(OPERATOR, known, {**document.document, "display_name": name})
    await world.caught_up()
    shown = await world.browser.go((await world.ask("usage:read", party)).url)
    assert "<script>" not in shown.text
    assert "<img" not in shown.text
    assert "&lt;script&gt;alert(1)" in shown.text


@pytest.mark.parametrize("interaction_id", ["x", "x" * 43, "x" * 65, "%00", "..%2f..", "é" * 43])
async def test_an_interaction_that_is_none_is_not_found(world: World, interaction_id: str) -> None:
    issuer = world.gateway.running.issuer
    for path in (interaction_id, f"{interaction_id}/sign-in"):
        assert (await world.browser.go(f"{issuer}/interaction/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"decision=approve&decision=deny", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"decision=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b'{"decision": "approve"}', "application/json", 415),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    world: World, content: bytes, media_type: str, status: int
) -> None:
    shown = await world.approval_page(await world.ask())
    answer = await world.browser.http.post(
        str(shown.url), content=content, headers={"content-type": media_type}
    )
    assert answer.status_code == status


async def test_signing_out_takes_the_form_and_ends_the_session(world: World) -> None:
    shown = await world.approval_page(await world.ask())
    issuer, secret = world.gateway.running.issuer, world.browser.http.cookies[COOKIE]
    assert (await world.browser.go(f"{issuer}/signin/out", token="0" * 64)).status_code == 403
    assert "是否同意" in (await world.browser.go(str(shown.url))).text
    forms: list[str] = re.findall(r"<form.*?</form>", shown.text, re.DOTALL)
    (out,) = [form for form in forms if "/signin/out" in form]
    done = await world.browser.go(f"{issuer}/signin/out", **fields_of(out))
    assert "已退出登录" in done.text
    async with browser(world.installation) as thief:
        thief.http.cookies.set(COOKIE, secret)
        assert "请先登录" in (await thief.go(str(shown.url))).text


async def test_controls_have_labels_and_pages_a_title_and_one_heading(world: World) -> None:
    for name in PAGES:
        shown = await page(world, name)
        assert re.search(r"<title>\s*\S", shown.text)
        assert len(re.findall(r"<h1", shown.text)) == 1
        assert '<main id="content"' in shown.text
        assert 'name="viewport"' in shown.text
        for field in re.findall(r'<input (?!type="hidden")[^>]*>', shown.text):
            (label,) = re.findall(r'id="([^"]+)"', field)
            assert f'<label for="{label}"' in shown.text


async def test_the_style_sheet_is_served_with_its_type(world: World) -> None:
    answer = await world.browser.go(f"{world.gateway.running.issuer}/static/creditgate.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")


async def test_without_an_identity_provider_nobody_can_sign_in(embedded: Installation) -> None:
    console(embedded)
    async with embedded.running() as gateway, browser(embedded) as visitor:
        for path in (
            f"interaction/{'x' * 43}",
            f"interaction/{'x' * 43}/sign-in",
            "signin/callback",
        ):
            shown = await visitor.go(f"{gateway.running.issuer}/{path}")
            assert shown.status_code == 503
            assert "oidc_issuer" in shown.text
