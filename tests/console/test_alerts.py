"""Alerts at the console: shown in words and numbers, looked into, and never whose records."""

import re
from html import unescape
from urllib.parse import urlencode, urljoin

import pytest
from sqlalchemy import delete, insert

from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.alerts.tables import ALERTS
from tests.clock import NOW
from tests.console.world import LICENSER, World
from tests.installation import OPERATOR_ID
from tests.stores import engines_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = "a new <customer>"


def raise_alerts(world: World, hours: int = 1) -> None:
    """Raise one alert of each kind in each of that many hours."""
    installation = world.installation
    with (
        engines_of(installation.database, installation.home.root) as engines,
        engines.evidence.begin() as connection,
    ):
        connection.execute(delete(ALERTS))
        connection.execute(
            insert(ALERTS),
            [
                {
                    "operator_id": OPERATOR_ID,
                    "kind": kind,
                    "hour": hour,
                    "purpose": (
                        Purpose.PURPOSE_BIDDING
                        if kind == AlertKind.ALERT_KIND_PURPOSE_DRIFT
                        else Purpose.PURPOSE_UNSPECIFIED
                    ),
                    "started_at": NOW,
                    "counted": 12_345 + kind,
                    "threshold": 10_000,
                    "raised_at": NOW,
                    "acknowledged_by": "",
                    "note": "",
                }
                for hour in range(hours)
                for kind in AlertKind.values()
                if kind
            ],
        )


async def test_every_kind_of_alert_is_told_and_one_is_acknowledged(world: World) -> None:
    raise_alerts(world)
    await world.sign_in(LICENSER)
    page = await world.see("/alerts")
    for words in ("批量遍历主体", "用途漂移：招标投标", "非工作时间批量查询", "日志分叉视图"):
        assert words in page.text
    assert "约 12,346 个不同主体，达到 10,000 即提示" in page.text
    kinds = len([kind for kind in AlertKind.values() if kind])
    assert page.text.count("/acknowledge") == kinds
    page = await world.send(page, "/acknowledge", reason=WHY)
    assert "已核实。" in page.text
    assert page.text.count("/acknowledge") == kinds - 1
    page = await world.see("/alerts?all=1")
    assert "a new &lt;customer&gt;" in page.text
    page = await world.see("/alerts?lang=en")
    assert "Sweep over subjects" in page.text


async def test_whoever_acknowledges_second_is_told_which_note_stands(world: World) -> None:
    raise_alerts(world)
    await world.sign_in(LICENSER)
    tabs = [await world.see("/alerts?lang=en") for _ in range(2)]
    await world.send(tabs[0], "/acknowledge", reason="looked <into>")
    again = await world.send(tabs[1], "/acknowledge", reason="looked <into>")
    assert "Acknowledged." in again.text
    second = await world.send(tabs[1], "/acknowledge", reason="my <own>")
    assert second.status_code == 409
    told = second.text.partition('role="alert"')[2].partition("</p>")[0]
    assert "administrator:zhang-li acknowledged this alert on " in told
    assert "with the note “looked &lt;into&gt;”" in told
    assert "Yours was not kept: “my &lt;own&gt;”" in told
    # It is the page of alerts, from which one goes on.
    assert 'href="/console/alerts"' in second.text
    waiting = (await world.see("/alerts?lang=en")).text.count("/acknowledge")
    assert second.text.count("/acknowledge") == waiting
    assert "my &lt;own&gt;" not in (await world.see("/alerts?all=1")).text


@pytest.mark.parametrize("every", [{}, {"all": "1"}], ids=["waiting", "all"])
async def test_one_goes_on_where_one_acknowledged(world: World, every: dict[str, str]) -> None:
    raise_alerts(world, hours=2)
    await world.sign_in(LICENSER)
    first = await world.see(f"/alerts?{urlencode(every)}")
    link = unescape(re.findall(r'href="([^"]+)">下一页', first.text)[0])
    page = await world.browser.go(urljoin(str(first.url), link))
    shown = dict(page.url.params)
    assert shown == {**every, "page": shown["page"]}
    count = page.text.count("/acknowledge")
    for left in reversed(range(count)):
        page = await world.send(page, "/acknowledge", reason=WHY)
        assert dict(page.url.params) == {**shown, "done": "acknowledged"}
        assert page.text.count("/acknowledge") == left
    assert ("这一页没有提示了。" in page.text) is (not every)
    link = unescape(re.findall(r'href="([^"]+)">第一页', page.text)[0])
    assert (await world.browser.go(urljoin(str(page.url), link))).text.count("/acknowledge") == 20


async def test_whatever_page_a_form_names_it_leads_to_alerts(world: World) -> None:
    raise_alerts(world)
    await world.sign_in(LICENSER)
    page = await world.see("/alerts")
    action, token = re.findall(
        r'action="([^"]+/acknowledge)".*?name="token" value="([^"]+)"', page.text, re.DOTALL
    )[0]
    elsewhere = urlencode({"page": "//elsewhere.invalid/", "all": "\r\nx: y", "to": "/x"})
    sent = await world.browser.go(
        urljoin(str(page.url), f"{action}?{elsewhere}"), token=token, reason=WHY
    )
    assert (sent.url.host, sent.url.path) == (page.url.host, "/console/alerts")
    assert dict(sent.url.params) == {"page": "//elsewhere.invalid/", "done": "acknowledged"}
    assert sent.status_code == (await world.see("/alerts?page=other")).status_code == 404
