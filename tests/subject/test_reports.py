"""A company's own credit reports: issued on its page, downloaded, looked up, taken back."""

import json
import re
from dataclasses import replace
from urllib.parse import urljoin

import pytest

from gateway.reports.own import MOST_A_DAY
from gateway.transparency.keys import LogKey
from sdk.reports import verified_report
from tests.installation import PUBLISHER
from tests.meter.world import stored
from tests.people import browser
from tests.reports.own import issued, links, newest, send
from tests.reports.printed import text_of_pdf
from tests.server.calls import publish
from tests.subject.test_delegations import accepted, appointed, link_of, withdrawn
from tests.subject.world import (
    LIU_YANG,
    PENALTY,
    TAX,
    ZHAO_QIAN,
    World,
    forms_of,
    tax,
    text_of,
)

OTHER = "91000000DEM000012D"
"""The company that zhao-qian represents."""

ISSUING = re.compile(r"/reports/[^/]+$")

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_company_has_its_own_report_free_of_charge_proved_and_signed(world: World) -> None:
    await world.signed_in()
    ledger = len(stored(world.installation.engines.records))

    page = await issued(world, PENALTY, TAX, "list.serious-dishonesty", recipient="示例采购中心")

    assert "报告已出具" in page.text
    assert len(stored(world.installation.engines.records)) == ledger
    report, document = await newest(world, page)
    issuer = world.gateway.running.issuer
    keys = (await world.browser.http.get(f"{issuer}/consent/receipt-keys.json")).json()
    home = world.installation.home
    origin = f"{issuer.partition('://')[2]}/log/disclosure"
    log = LogKey.kept_in(home.log_key("disclosure"), origin).verifier
    assert verified_report(document, keys, issuer, log).report == report
    assert {each.item: each.records for each in report.items} == {
        PENALTY: 1,
        TAX: 2,
        "list.serious-dishonesty": 0,
    }
    assert report.requester.kind == "SUBJECT"
    # Nothing is left out of what is its own.
    assert len(json.loads(next(r for r in report.records if r.item == TAX).content)) == 5
    pdf = await world.browser.go(links(page, "/pdf")[0])
    assert pdf.headers["content-type"] == "application/pdf"
    assert "信用主体本人" in text_of_pdf(pdf.content)
    status = await world.browser.go(report.status_url)
    assert "有效，与当前公示一致" in text_of(status)


async def test_all_that_is_public_or_takes_consent_is_offered_and_nothing_restricted(
    world: World,
) -> None:
    await world.signed_in()
    page = await world.browser.go(world.my("/reports"))
    offered = re.findall(r'name="item-([^"]+)" checked', page.text)
    assert {PENALTY, TAX} <= set(offered)
    assert "supervision.risk-classification" not in offered


async def test_a_form_sent_twice_makes_one_report(world: World) -> None:
    await world.signed_in()
    page = await world.browser.go(world.my("/reports"))
    before = len(links(page, "/document"))
    first = await send(world, page, PENALTY)
    again = await send(world, page, PENALTY)
    assert first.url == again.url
    assert len(links(again, "/document")) == before + 1


async def test_what_is_wrongly_filled_in_is_told_and_nothing_is_issued(world: World) -> None:
    await world.signed_in()
    nothing = await issued(world)
    long = await issued(world, PENALTY, recipient="长" * 201)
    assert (nothing.status_code, long.status_code) == (400, 400)
    assert "请至少选择一项信息" in nothing.text
    assert "最多 200 个字" in long.text


async def test_a_report_taken_back_is_not_given_out_again(world: World) -> None:
    await world.signed_in()
    page = await issued(world, PENALTY)
    report, _ = await newest(world, page)
    report_id = report.report.removeprefix("reports/")
    document = links(page, f"{report_id}/document")[0]

    after = await world.send(page, f"{report_id}/revoke")

    assert "已撤销" in after.text
    assert links(after, f"{report_id}/document") == []
    for part in ("document", "pdf"):
        gone = await world.browser.go(document.replace("/document", f"/{part}"))
        assert gone.status_code == 404
    assert "已撤销" in text_of(await world.browser.go(report.status_url))


async def test_a_report_is_not_given_out_once_what_it_states_has_changed(world: World) -> None:
    await world.signed_in(ZHAO_QIAN)
    page = await issued(world, TAX, subject=OTHER)
    (document,) = links(page, "/document")
    assert (await world.browser.go(document)).status_code == 200
    draft = tax(2025, world.now)
    draft.record_id, draft.subject = "tax-other-2025", OTHER
    async with world.gateway.channel(PUBLISHER) as channel:
        await publish(channel, [draft])
    for part in ("document", "pdf"):
        gone = await world.browser.go(document.replace("/document", f"/{part}"))
        assert gone.status_code == 404
    after = await world.browser.go(world.my("/reports", OTHER))
    assert "已被更新" in after.text
    assert links(after, "/document") == []


async def test_nobody_else_gets_a_companys_report(world: World) -> None:
    await world.signed_in()
    page = await issued(world, TAX)
    document = links(page, "/document")[0]
    async with browser(world.installation) as stranger:
        assert "登录" in (await stranger.go(document)).text
        await world.signed_in(ZHAO_QIAN, stranger)
        assert (await stranger.go(document)).status_code == 404
        other = re.sub(r"/my/[^/]+/", f"/my/{OTHER}/", document)
        assert (await stranger.go(other)).status_code == 404


@pytest.mark.parametrize(
    "powers",
    [
        {"power-see": "on", "power-answer": "on", "power-revoke": "on"},
        {"power-report": "on", f"item-{TAX}": "on"},
    ],
)
async def test_a_deputy_without_that_power_or_with_limits_has_no_reports(
    world: World, powers: dict[str, str]
) -> None:
    """Not even with a form of whoever has it."""
    withdrawn(world)
    await world.signed_in()
    page = await issued(world, TAX)
    mine = links(page, "/document")[0]
    link = link_of(await appointed(world, powers))
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy, LIU_YANG)
        consents = await deputy.go(world.my("/consents"))
        assert consents.status_code == 200
        assert "我的信用报告" not in consents.text
        assert (await deputy.go(world.my("/reports"))).status_code == 404
        for part in ("/document", "/pdf", "/revoke"):
            address = mine.replace("/document", part)
            sent = {"token": "x"} if part == "/revoke" else {}
            assert (await deputy.go(address, **sent)).status_code == 404
        ((action, _),) = [form for form in forms_of(page, "") if ISSUING.search(form[0])]
        ordered = await deputy.go(urljoin(str(page.url), action), token="x")
        assert ordered.status_code == 404
    assert (await world.browser.go(mine)).status_code == 200


async def test_a_deputy_appointed_to_issues_downloads_and_takes_back_reports_and_sees_no_more(
    world: World,
) -> None:
    withdrawn(world)
    await world.signed_in()
    form = await world.browser.go(world.my("/delegations/new"))
    assert "开具、下载和撤销单位的信用报告" in form.text
    link = link_of(await appointed(world, {"power-report": "on"}))
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy, LIU_YANG)
        acting = replace(world, browser=deputy)
        page = await issued(acting, TAX)
        report, _ = await newest(acting, page)
        report_id = report.report.removeprefix("reports/")
        assert "已撤销" in (await acting.send(page, f"{report_id}/revoke")).text
        assert (await deputy.go(world.my("/accesses"))).status_code == 404


async def test_a_company_has_so_many_reports_a_day_and_no_more(world: World) -> None:
    await world.signed_in(ZHAO_QIAN)
    # One was issued before.
    for _ in range(MOST_A_DAY - 1):
        page = await issued(world, PENALTY, subject=OTHER)
        assert page.status_code == 200
        assert (await newest(world, page))[0].subject == OTHER
    full = await issued(world, PENALTY, subject=OTHER)
    assert full.status_code == 400
    assert "已达上限" in full.text
