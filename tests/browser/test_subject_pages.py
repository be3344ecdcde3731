"""A subject's pages as people use them: small and large, by keyboard, magnified, in the dark.

WCAG 2.2 AA: what axe-core can tell by itself, and what only a walk through the pages shows.
"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import ViewportSize, expect

from consent.model import Actor, ConsentItem
from consent.states import GRANTED, REVOKED
from tests.browser.axe import faults
from tests.browser.chromium import chromium
from tests.browser.site import DESKTOP, PHONE, Site, in_either_language, looks, signed_in
from tests.installation import Installation
from tests.people import COMPANY
from tests.reports.own import issued as own_report
from tests.reports.own import newest
from tests.stores import SqliteStores
from tests.subject.world import (
    BANK_ID,
    EVALUATION,
    INSURANCE,
    PENALTY,
    TAX,
    World,
    running_world,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SubjectSite = Site[World]
WIDER = (
    "* { line-height: 1.5 !important; letter-spacing: .12em !important;"
    " word-spacing: .16em !important; } p { margin-bottom: 2em !important; }"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[SubjectSite]:
    """All of it, running."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with (
            running_world(installation) as world,
            chromium(installation.home.server_certificate) as browser,
        ):
            paths = await furnished(world)
            kept = await signed_in(browser, world.url("/my"), "李明", "授权请求")
            yield Site(world, browser, paths, kept)
        installation.close()


async def furnished(world: World) -> tuple[str, ...]:
    """Put something on every page of the company, and return their paths."""
    some = ConsentItem(item=TAX, fields=frozenset({"tax_year", "tax_credit_grade"}))
    asked = world.ask(world.terms((some, EVALUATION)), message="为审批贵单位的贷款申请。")
    given = world.given()
    await world.use(given, [TAX])
    held = world.move(world.given(operator_id=BANK_ID), "pause", Actor.OPERATOR, "Invented")
    ended = world.move(world.given(world.terms((INSURANCE,))), "revoke", Actor.OPERATOR)
    company = f"/my/{COMPANY}"
    await world.signed_in()
    report, _ = await newest(world, await own_report(world, TAX, PENALTY))
    return (
        "/my/companies",
        *(
            f"{company}{path}"
            for path in (
                "/inbox",
                "/consents",
                "/consents?show=ended",
                "/accesses",
                "/notices",
                "/delegations",
                "/delegations/new",
                "/keys",
                "/reports",
                *(f"/consents/{each.consent_id}" for each in (asked, given, held, ended)),
                f"/consents/{given.consent_id}/revoke",
                f"/consents/{'0' * 10}-{'0' * 24}",
            )
        ),
        urlsplit(report.status_url).path,
        f"/reports/{'0' * 10}-{'0' * 24}/{'2' * 12}",
    )


@looks(("phone", "zh"))
async def test_axe_finds_nothing_against_wcag_22_aa(
    site: SubjectSite, size: ViewportSize, language: str
) -> None:
    found = await site.faults("/my", size, language)
    assert not found, "\n".join(found)


@in_either_language
async def test_pages_are_clear_in_the_dark_and_nothing_has_to_be_scrolled_sideways(
    site: SubjectSite, language: str
) -> None:
    found = await site.faint_or_wide(language, WIDER, rules=["color-contrast"])
    assert not found, "\n".join(found)


async def test_what_an_operator_says_is_drawn_nowhere_but_in_its_own_place(
    site: SubjectSite,
) -> None:
    """Whatever its characters, also those that none can be asked with any more."""
    # So high that nothing is scrolled, and with the words in a place of one size: whatever
    # else the page shows is then drawn just where it was.
    page = await site.opened(ViewportSize(width=320, height=4_000))
    path = next(path for path in site.paths if "/consents/" in path)
    await page.goto(site.url(path))
    words = page.locator("blockquote")
    await words.evaluate("quote => quote.style.height = `${quote.offsetHeight}px`")
    above = page.locator(".terms dl > div", has_text="关于谁").locator("dd")
    below = page.locator(".terms dl > div", has_text="请求方的说明").locator("dd > p")
    usual = await above.screenshot(), await below.screenshot()
    for said in ("审" + "\u0300\u0489\u20dd\u0363" * 110, "x" + "\u0300\u0323" * 160, "W" * 500):
        await words.locator("bdi").evaluate("(all, said) => all.textContent = said", said)
        assert await page.evaluate("document.documentElement.scrollWidth") == 320
        assert (await above.screenshot(), await below.screenshot()) == usual
    await page.context.close()


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(("/inbox", "/delegations/new", "/reports", "/revoke"), id="four pages"),
        pytest.param("", id="every page", marks=pytest.mark.soak),
    ],
)
async def test_the_keyboard_reaches_everything_in_order_and_focus_is_seen(
    site: SubjectSite, ends: str | tuple[str, ...]
) -> None:
    page = await site.opened(DESKTOP)
    for path in filter(lambda path: path.endswith(ends), site.paths):
        await page.goto(site.url(path))
        expected = await page.evaluate(
            "() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]),"
            " select, textarea, summary')].filter(e => e.checkVisibility()).length"
        )
        reached: list[str] = []
        for _ in range(expected):
            await page.keyboard.press("Tab")
            seen = await page.evaluate(
                "() => { const e = document.activeElement, s = getComputedStyle(e),"
                " all = [...document.querySelectorAll('*')], box = e.getBoundingClientRect();"
                " return {place: all.indexOf(e), tag: e.tagName, text: e.innerText,"
                " outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,"
                " inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight}; }"
            )
            assert seen["tag"] != "BODY", (path, reached)
            assert seen["outline"], (path, seen)
            assert seen["inside"], (path, seen)
            reached.append(f"{seen['place']:05d}")
        # In the order of the page, each once (radio buttons there are none).
        assert reached == sorted(set(reached)), path
    await page.context.close()


async def test_the_way_past_the_navigation_is_the_first_stop(site: SubjectSite) -> None:
    page = await site.opened(PHONE)
    await page.goto(site.url(f"/my/{COMPANY}/consents"))
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="跳到正文")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="有效的")).to_be_focused()
    await page.context.close()


async def test_a_request_is_answered_by_keyboard_alone(site: SubjectSite) -> None:
    consent = site.world.ask(operator_id=BANK_ID)
    page = await site.opened(PHONE)
    await page.goto(site.url(f"/my/consents/{consent.consent_id}"))
    grant = page.get_by_role("button", name="同意授权")
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await grant.evaluate("element => element === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("您已同意授权")
    await expect(page.get_by_role("status")).to_be_focused()
    assert site.world.standing(consent).state == GRANTED
    await page.context.close()


async def test_neither_answer_is_pressed_upon_the_subject(site: SubjectSite) -> None:
    consent = site.world.ask(operator_id=BANK_ID)
    for size in (PHONE, DESKTOP):
        page = await site.opened(size)
        await page.goto(site.url(f"/my/consents/{consent.consent_id}"))
        looks = [
            await page.get_by_role("button", name=name, exact=True).evaluate(
                "e => { const s = getComputedStyle(e), b = e.getBoundingClientRect();"
                " return [s.color, s.backgroundColor, s.fontSize, s.fontWeight, s.borderColor,"
                " Math.round(b.width), Math.round(b.height)]; }"
            )
            for name in ("同意授权", "不同意")
        ]
        assert looks[0] == looks[1]
        await page.context.close()


async def test_two_clicks_end_a_consent_and_nothing_else_is_called_for(site: SubjectSite) -> None:
    consent = site.world.given(site.world.terms((INSURANCE,)), operator_id=BANK_ID)
    visited, spoken = set[str](), list[str]()
    page = await site.opened(DESKTOP)
    page.on("request", lambda request: visited.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: spoken.append(message.text))
    page.on("pageerror", lambda error: spoken.append(str(error)))
    await page.goto(site.url(f"/my/{COMPANY}/consents/{consent.consent_id}"))
    await page.get_by_role("link", name="撤回授权").click()
    await expect(page.get_by_text("立即停止")).to_be_visible()
    await page.get_by_role("button", name="确认撤回").click()
    await expect(page.get_by_role("status")).to_contain_text("授权已撤回")
    # What was there when the page came is not announced by itself: it is where the focus is.
    await expect(page.get_by_role("status")).to_be_focused()
    assert site.world.standing(consent).state == REVOKED
    # No other host, and no script or style was refused.
    assert visited == {urlsplit(site.url("/")).netloc}
    assert not spoken
    await page.context.close()


async def test_going_back_after_an_answer_changes_nothing(site: SubjectSite) -> None:
    consent = site.world.ask()
    page = await site.opened(DESKTOP)
    await page.goto(site.url(f"/my/consents/{consent.consent_id}"))
    await page.get_by_role("button", name="不同意").click()
    await expect(page.get_by_role("status")).to_contain_text("您没有同意")
    version = site.world.standing(consent).version
    await page.go_back()
    # The page is not kept: what is shown is how things stand.
    await expect(page.get_by_role("button", name="同意授权")).to_have_count(0)
    assert site.world.standing(consent).version == version
    await page.context.close()


async def test_a_deputy_is_appointed_accepts_and_answers(site: SubjectSite) -> None:
    consent = site.world.ask()
    page = await site.opened(DESKTOP)
    await page.goto(site.url(f"/my/{COMPANY}/delegations"))
    await page.get_by_role("link", name="委托一个人").click()
    await page.get_by_role("button", name="生成委托链接").click()
    await expect(page.get_by_role("alert")).to_contain_text("请写明受托人")
    assert not await faults(page)
    await page.get_by_label("受托人").fill("财务部刘洋（虚构）")
    await page.get_by_label("答复授权请求").check()
    await page.get_by_role("button", name="生成委托链接").click()
    assert not await faults(page)
    link = await page.locator("main code").inner_text()
    context = await site.browser.new_context(viewport=PHONE, locale="zh-CN")
    context.set_default_timeout(10_000)
    deputy = await context.new_page()
    await deputy.goto(link)
    await deputy.get_by_role("link", name="登录").click()
    await deputy.get_by_role("radio", name="刘洋").check()
    await deputy.get_by_role("button", name="登录").click()
    assert not await faults(deputy)
    await deputy.get_by_role("button", name="接受委托").click()
    await deputy.goto(site.url(f"/my/consents/{consent.consent_id}"))
    await deputy.get_by_role("button", name="同意授权").click()
    await expect(deputy.get_by_role("status")).to_contain_text("您已同意授权")
    await page.goto(site.url(f"/my/{COMPANY}/delegations"))
    await page.get_by_role("button", name="收回委托").click()
    await deputy.reload()
    await expect(deputy.get_by_role("heading", name="没有这个页面")).to_be_visible()
    await context.close()
    await page.context.close()
