"""A consent from the request to the copies' end, as the subject lives through it.

Each page is asked by itself in each run (tests/subject, tests/reports, `test_subject_pages`).
With CREDITGATE_SCREENSHOTS naming a folder, each step is kept there as a picture: those of
docs/subjects.md are made so (`make screenshots`).
"""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from consent.model import ONCE, Actor, ConsentItem
from consent.states import REVOKED
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CATALOGUE_ITEM
from tests.browser.chromium import chromium
from tests.docs.images import PICTURES
from tests.installation import PUBLIC_ITEM, eventually, furnished, item
from tests.people import COMPANY
from tests.stores import SqliteStores
from tests.subject.world import (
    BANK_ID,
    EVALUATION,
    INSURANCE,
    PENALTY,
    TAX,
    World,
    caught_up,
    running_world,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.soak]

FOLDER = os.environ.get("CREDITGATE_SCREENSHOTS", "")
DESKTOP = {"width": 880, "height": 640}
PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(sqlite_stores: SqliteStores) -> AsyncIterator[World]:
    """A gateway of this story's own."""
    with furnished(sqlite_stores) as installation:
        async with running_world(installation) as world:
            yield world


@pytest_asyncio.fixture(loop_scope="module")
async def browser(world: World) -> AsyncIterator[Browser]:
    """A browser."""
    async with chromium(world.installation.home.server_certificate) as browser:
        yield browser


async def keep(page: Page, name: str) -> None:
    """Keep a picture of the whole page, where pictures are asked for."""
    assert name in PICTURES
    if FOLDER:
        await page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True)


async def signed_in(browser: Browser, world: World, size: dict[str, int]) -> Page:
    """Return a page in which the representative is signed in."""
    context = await browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale="zh-CN",
        device_scale_factor=1.5 if size is PHONE else 1,
    )
    context.set_default_timeout(10_000)
    page = await context.new_page()
    await page.goto(world.url("/my"))
    if size is DESKTOP:
        await keep(page, "subject-sign-in")
    await page.get_by_role("link", name="登录").click()
    await page.get_by_role("radio", name="李明").check()
    await page.get_by_role("button", name="登录").click()
    await expect(page.get_by_role("heading", name="授权请求")).to_be_visible()
    return page


def with_letters() -> None:
    """Fail where pictures would show boxes for Chinese letters."""
    found = subprocess.run(
        ["fc-list", ":lang=zh", "file"], capture_output=True, text=True, check=False
    )
    if not found.stdout.strip():
        pytest.fail("no Chinese font for the pictures: apt-get install fonts-noto-cjk")


async def test_a_consent_from_the_request_to_its_end(world: World, browser: Browser) -> None:
    if FOLDER:
        with_letters()
    some = ConsentItem(item=TAX, fields=frozenset({"tax_year", "tax_credit_grade"}))
    asked = world.ask(
        world.terms((some, EVALUATION)), message="贵单位申请了流动资金贷款，为审批需要查询。"
    )
    world.ask(world.terms((INSURANCE,), access_mode=ONCE), operator_id=BANK_ID)
    held = world.move(
        world.given(world.terms((EVALUATION,)), operator_id=BANK_ID), "pause", Actor.OPERATOR
    )
    phone = await signed_in(browser, world, PHONE)
    await phone.goto(world.url(f"/my/consents/{asked.consent_id}"))
    await keep(phone, "subject-request-phone")

    page = await signed_in(browser, world, DESKTOP)
    await keep(page, "subject-inbox")
    await page.get_by_role("link", name="查看并答复 示例征信有限公司（虚构）").click()
    await keep(page, "subject-request")
    await page.goto(world.url(f"/my/consents/{asked.consent_id}?lang=en"))
    await keep(page, "subject-request-en")
    await page.get_by_role("link", name="中文").click()
    await page.get_by_role("button", name="同意授权").click()
    await expect(page.get_by_role("status")).to_contain_text("您已同意授权")
    await keep(page, "subject-granted")

    await world.use(asked, [TAX])
    await world.use(None, [PENALTY])
    await world.use(asked, [TAX])

    async def all_uses() -> bool:
        await page.goto(world.url(f"/my/{COMPANY}/accesses"))
        return await page.get_by_text("查询行政处罚信息").count() == 1

    await eventually(all_uses)
    await expect(page.get_by_text("查询纳税信息")).to_have_count(2)
    await keep(page, "subject-uses")

    async with page.expect_download() as download:
        await page.goto(world.url(f"/my/{COMPANY}/consents/{asked.consent_id}"))
        await page.get_by_role("link", name="下载同意时的凭证").click()
    assert (await (await download.value).path()).read_text().count(".") == 2

    await page.get_by_role("link", name="我的授权").click()
    await keep(page, "subject-consents")
    await page.get_by_role("link", name="撤回授权 示例征信有限公司（虚构）").click()
    await keep(page, "subject-revoke")
    await page.get_by_role("button", name="确认撤回").click()
    await expect(page.get_by_role("status")).to_contain_text("授权已撤回")
    await expect(page.get_by_text("前删除取得的结果，并向网关报告")).to_be_visible()
    await keep(page, "subject-revoked")
    assert world.standing(asked).state == REVOKED

    world.move(held, "revoke", Actor.OPERATOR, "业务已终止")
    await page.get_by_role("link", name="通知").click()
    await expect(page.get_by_text("机构主动放弃授权")).to_be_visible()
    await keep(page, "subject-notices")

    await page.goto(world.url(f"/my/{COMPANY}/delegations/new"))
    await page.get_by_label("受托人").fill("财务部刘洋（虚构）")
    await page.get_by_label("答复授权请求").check()
    await page.get_by_label("查看授权和使用记录").check()
    await page.get_by_text("进一步限定范围").click()
    await page.get_by_label("纳税信息").check()
    await keep(page, "subject-appoint")
    await page.get_by_role("button", name="生成委托链接").click()
    await page.get_by_role("link", name="回到委托代办").click()
    await expect(page.get_by_text("仅限信息：纳税信息")).to_be_visible()
    await page.context.close()
    await phone.context.close()


async def test_a_report_from_its_issue_to_whoever_looks_it_up(
    world: World, browser: Browser
) -> None:
    if FOLDER:
        with_letters()
    # The item made for other tests is none of the catalogue shipped.
    made = item(PUBLIC_ITEM, Openness.OPENNESS_RESTRICTED)
    world.installation.keep(CATALOGUE_ITEM, PUBLIC_ITEM, made)
    await caught_up()
    page = await signed_in(browser, world, DESKTOP)
    await page.get_by_role("link", name="我的信用报告").click()
    for name in ("纳税信息", "社会保险费缴纳信息", "公共信用综合评价结果"):
        await page.get_by_role("checkbox", name=name).uncheck()
    await page.get_by_role("textbox", name="接收方").fill("示例采购中心（虚构）")
    await page.get_by_role("button", name="出具报告").click()
    await expect(page.get_by_text("报告已出具")).to_be_visible()
    await keep(page, "subject-reports")
    for link, kind in (("下载 PDF", ".pdf"), ("下载电子文件", ".jws")):
        async with page.expect_download() as download:
            await page.get_by_role("link", name=link).click()
        assert (await download.value).suggested_filename.endswith(kind)

    address = await page.get_by_role("link", name="查验页面").get_attribute("href")
    holder = await browser.new_page(viewport={"width": 390, "height": 844}, locale="zh-CN")
    await holder.goto(world.url(address or ""))
    await expect(holder.get_by_role("status")).to_contain_text("有效，与当前公示一致")
    await keep(holder, "subject-report-status-phone")

    await page.get_by_role("button", name="撤销报告").click()
    await expect(page.get_by_text("已撤销")).to_be_visible()
    await holder.reload()
    await expect(holder.get_by_role("status")).to_contain_text("已撤销")
    await holder.set_viewport_size({"width": 880, "height": 640})
    await keep(holder, "subject-report-status")
