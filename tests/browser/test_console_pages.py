"""The administrators' console as people use it: WCAG 2.2 AA, on a phone and a desktop.

By axe-core, by its width, and by pulling the emergency brake there with the keyboard alone.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, ViewportSize, expect

from creditgate.rating.components import CAP, GRADUATED, PriceComponent, Tier
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.stands import HOME, stand_of
from operators.brakes import BRAKE
from operators.proposal import PROPOSAL, Proposal
from sdk.clearings import lines_of, read_clearing
from tests.braking import brake
from tests.browser.axe import faults
from tests.browser.chromium import chromium
from tests.browser.site import DESKTOP, PHONE, Site, in_either_language, looks, signed_in
from tests.console.clearings import DISPUTE, REGION, UNTIL, cleared
from tests.console.world import AUDITOR, LICENSER, PRICING, SECURER, World, running_world
from tests.docs.images import CONSOLE_PICTURES
from tests.federating import running_anchor_at
from tests.installation import OPERATOR_ID, PUBLIC_ITEM, furnished
from tests.people import LICENSING, SECURITY, browser
from tests.stores import SqliteStores
from tests.subject.world import caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")

ConsoleSite = Site[World]
FOLDER = os.environ.get("CREDITGATE_SCREENSHOTS", "")
PROPOSED = "00aabbccdd-00112233"
# From 2100 on.
RICH = PricePlan(
    plan_id="rich",
    effective_from=4_102_444_800,
    prices={"basic": 50_000},
    components=(
        PriceComponent(
            component_id="research-of-public-bodies",
            kind=GRADUATED,
            items=frozenset({"penalty.administrative", "licence.administrative.granted"}),
            price_classes=frozenset({"basic"}),
            purposes=frozenset({Purpose.PURPOSE_RESEARCH, Purpose.PURPOSE_BIDDING}),
            operator_classes=frozenset({"public-body"}),
            tiers=(Tier(from_records=0, unit_price=50_000), Tier(from_records=10, unit_price=9)),
        ),
        PriceComponent(component_id="most", kind=CAP, amount=10**9),
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    sqlite_stores: SqliteStores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ConsoleSite]:
    """All of it, running, as a region's."""
    folder = tmp_path_factory.mktemp("anchor")
    async with running_anchor_at(folder) as anchor:
        with furnished(sqlite_stores, **anchor.settings()) as installation:
            async with (
                running_world(installation) as world,
                chromium(installation.home.server_certificate) as browser,
            ):
                paths = await something_everywhere(world)
                kept = await signed_in(browser, world.url(), "周安", "总览")
                yield Site(world, browser, paths, kept)


async def something_everywhere(world: World) -> tuple[str, ...]:
    """Put something on every page of the console, and return their paths."""
    installation, now = world.installation, world.installation.clock.now()
    for name, target, released_at in (("b-1", OPERATOR_ID, now), ("b-2", "beta", None)):
        made = brake(name, "OPERATOR", target, released_at=released_at)
        installation.keep(BRAKE, name, made)
    proposal = Proposal(
        proposal_id=PROPOSED,
        method="ReleaseBrake",
        request={"brake_id": "b-2"},
        reason="the invented emergency is over",
        proposed_by="administrator:wu-ping",
        proposed_through="gateway:console",
        proposed_at=now,
        expires_at=now + 86_400,
    )
    installation.keep(PROPOSAL, PROPOSED, proposal)
    installation.put(PRICE_PLAN, RICH.plan_id, RICH.model_dump(mode="json"))
    world.administer(SECURER, [SECURITY, LICENSING, PRICING])
    cleared(installation)
    await caught_up()
    await world.use(3)
    return (
        "",
        "/operators",
        f"/operators/{OPERATOR_ID}",
        f"/operators/{OPERATOR_ID}/use",
        "/use",
        "/proposals",
        f"/proposals/{PROPOSED}",
        "/scopes",
        "/prices",
        "/conformance",
        "/clearing",
        f"/clearing/{UNTIL}?region={REGION}",
        "/brakes",
        "/brakes?refused=STATE_CONFLICT",
        "/operators/nobody",
    )


@looks()
async def test_axe_finds_nothing_against_wcag_22_aa(
    site: ConsoleSite, size: ViewportSize, language: str
) -> None:
    async def pictured(page: Page, path: str) -> None:
        """Take the picture of a page for docs/administrators.md, where they are asked for."""
        name = f"console-{path.removeprefix('/') or 'overview'}".replace("/", "-")
        if FOLDER and (size, language) == (DESKTOP, "zh") and name in CONSOLE_PICTURES:
            await page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True)

    found = await site.faults("", size, language, pictured)
    assert not found, "\n".join(found)


@in_either_language
async def test_pages_are_clear_in_the_dark_and_nothing_has_to_be_scrolled_sideways(
    site: ConsoleSite, language: str
) -> None:
    found = await site.faint_or_wide(language)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_prices_tell_what_use_and_whom_each_component_is_for(
    site: ConsoleSite, language: str
) -> None:
    page = await site.opened(PHONE)
    await page.goto(site.url("/prices", language))
    card = page.locator(".cards > li", has=page.get_by_role("heading", name="rich"))
    for words in {
        "zh": (
            "适用：目录项“licence.administrative.granted、penalty.administrative”",
            "价格类别“basic”",
            "用途“招标投标、统计研究”",
            "运营机构类别“public-body”",
            "适用全部使用",
        ),
        "en": (
            "for items licence.administrative.granted, penalty.administrative",
            "price classes basic",
            "purposes tendering and procurement, research on aggregated data",
            "operator classes public-body",
            "for all use",
        ),
    }[language]:
        await expect(card).to_contain_text(words)
    await page.context.close()


async def test_the_brake_is_pulled_and_released_by_the_keyboard_alone(site: ConsoleSite) -> None:
    page = await site.opened(PHONE)
    await page.goto(site.url("/brakes"))
    await page.get_by_role("radio", name="一个目录项的记录").focus()
    await page.keyboard.press("Space")
    await page.get_by_label("目录项", exact=True).select_option(PUBLIC_ITEM)
    await page.locator("#engage-reason").focus()
    await page.keyboard.type(" ")
    await page.keyboard.press("Enter")
    # What was chosen stands as it was, so that nothing is lost in an emergency.
    await expect(page.get_by_role("alert")).to_have_text("没有办理：请填写理由，只有空格不算。")
    await expect(page.get_by_role("radio", name="一个目录项的记录")).to_be_checked()
    await expect(page.get_by_label("目录项", exact=True)).to_have_value(PUBLIC_ITEM)
    assert not await faults(page)
    await page.locator("#engage-reason").focus()
    await page.keyboard.type("虚构的紧急情况")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("已刹车")).to_be_visible()
    assert site.world.authority.brakes.items == {PUBLIC_ITEM}
    card = page.locator(".cards > li", has_text="虚构的紧急情况")
    await card.locator("summary").focus()
    await page.keyboard.press("Enter")
    await card.get_by_label("理由").focus()
    await page.keyboard.type("已处置")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("已解除。")).to_be_visible()
    assert not site.world.authority.brakes.items
    await page.context.close()


async def test_clearing_shows_each_day_its_disputes_and_evidence_and_whose_version_stands(
    site: ConsoleSite,
) -> None:
    page = await site.opened(PHONE)
    await page.goto(site.url("/clearing"))
    day = page.locator(".cards > li", has=page.get_by_role("heading", name="2026-11-26"))
    for words in ("1,234，其中补记 5", "37.02 元", "1.00 元", "-36.02 元"):
        await expect(day).to_contain_text(words)
    card = page.locator(".cards > li", has_text="费用不一致")
    for words in ("record-1", "0.03 元", "0.029999 元", "均未定"):
        await expect(card).to_contain_text(words)
    await card.get_by_role("link", name="看证据").click()
    await expect(page.get_by_text("来源地区签名的计费回执")).to_be_visible()
    beyond = page.locator(".cards > li", has=page.get_by_role("heading", name="2026-07"))
    for words in ("1,200", "40.00 元", "30.00 元", "-10.00 元"):
        await expect(beyond).to_contain_text(words)
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="下载").click()
    file = await (await downloading.value).path()
    kept = read_clearing(await asyncio.to_thread(file.read_bytes))
    assert (lines_of(kept.document)[0].amount, len(kept.evidence)) == (-10_000_000, 1)
    assert [each.shown for each in kept.disputes] == [DISPUTE.shown]
    await page.get_by_role("link", name="返回地区间清算").click()
    await card.locator("summary").focus()
    await page.keyboard.press("Enter")
    await card.get_by_role("radio", name="来源地区").check()
    await card.get_by_label("理由").fill("回执支持")
    await card.get_by_role("button", name="确认").click()
    await expect(page.get_by_text("已确认以何方为准")).to_be_visible()
    disputes = SqlDisputes(site.world.installation.engines.evidence)
    (row,) = disputes.listed(REGION, closed=True, after="", limit=2)
    assert (row.stands, row.stands_version) == stand_of(DISPUTE.shown, HOME)
    assert (row.resolved_by, row.note) == (f"administrator:{SECURER}", "回执支持")
    await page.context.close()


async def test_clearing_is_shown_to_those_whose_roles_reach_it_alone(site: ConsoleSite) -> None:
    for subject, shown in ((AUDITOR, True), (LICENSER, False)):
        async with browser(site.world.installation) as visitor:
            world = replace(site.world, browser=visitor)
            page = await world.sign_in(subject, "/clearing")
            assert ("record-1" in page.text, page.status_code == 200) == (shown, shown)
            # Who looks alone is offered nothing to decide.
            assert "/resolve" not in page.text
            assert ("地区间清算" in (await world.see()).text) == shown
