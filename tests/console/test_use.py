"""The pages of use tell what statements tell."""

import re

import pytest

from gateway.settle.month import month_of, shifted
from tests.console.world import PRICER, World
from tests.installation import OPERATOR_ID
from tests.people import age_sessions
from tests.subject.world import caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_months_use_and_its_shares_are_shown(world: World) -> None:
    await world.use(3)
    page = await world.sign_in(PRICER, "/use")
    bills = page.text.partition("各机构账单")[2]
    assert re.search(r"<dt>记录数</dt><dd>3</dd><dt>费用</dt><dd>0\.75 元</dd>", bills)
    shares = page.text.partition("费用的分成")[2].partition("</table>")[0]
    told = re.findall(r"</svg> ([0-9.]+) 元", shares)
    assert sum(round(float(each) * 1_000_000) for each in told) == 750_000
    assert 'width="1000"' in shares
    page = await world.see(f"/operators/{OPERATOR_ID}/use")
    assert "0.75 元" in page.text
    assert '<svg viewBox="0 0 1000 400" preserveAspectRatio="none" role="img"' in page.text
    assert "<table>" in page.text


async def test_months_are_gone_through_and_none_of_the_future_is_shown(world: World) -> None:
    await world.sign_in(PRICER, "/use")
    present = month_of(world.installation.clock.now())
    before, after = shifted(present, -1).name, shifted(present, 1).name
    page = await world.see(f"/use/{before}")
    assert f"/use/{present.name}" in page.text
    assert f"/use/{after}" not in (await world.see("/use")).text
    for name in (after, "nonsense", "2026-13"):
        assert (await world.see(f"/use/{name}")).status_code == 404


async def test_months_are_gone_back_through_to_the_first_there_is(world: World) -> None:
    await world.sign_in(PRICER, "/use")
    page = await world.see("/use/1970-01")
    assert page.status_code == 200
    assert "1969-12" not in page.text
    assert (await world.see("/use/1969-12")).status_code == 404


async def test_guarded_closing_takes_a_fresh_sign_in(world: World) -> None:
    past = shifted(month_of(world.installation.clock.now()), -1)
    world.register("as-early", past.from_)
    await caught_up()
    await world.sign_in(PRICER, "/use")
    page = await world.see(f"/use/{past.name}")
    await world.guard(guarded=True)
    age_sessions(world.installation, signed_in=600)
    sent = await world.send(page, f"/use/{past.name}/close")
    assert not sent.url.path.startswith("/console")
    page = await world.see(f"/use/{past.name}")
    assert "本月已于" not in page.text
    assert "结算须在五分钟内" in page.text


async def test_a_month_is_closed_in_its_turn_once_and_stays_so(world: World) -> None:
    present = month_of(world.installation.clock.now())
    past, before = shifted(present, -1).name, shifted(present, -2).name
    world.register("early", shifted(present, -1).from_)
    await caught_up()
    assert "/close" not in (await world.sign_in(PRICER, "/use")).text
    page = await world.see(f"/use/{past}")
    # Nothing was before it, so nothing is to be closed.
    earlier = await world.see(f"/use/{before}")
    assert "/close" not in earlier.text
    assert "本月没有需要结算的内容" in earlier.text
    world.register("earlier", shifted(present, -2).from_)
    await caught_up()
    refused = await world.send(page, f"/use/{past}/close")
    assert "没有办理：各月须依次结算" in refused.text
    assert refused.url.path == f"/console/use/{past}"
    # It leads to the month that is due.
    assert "/close" not in refused.text
    assert f'/use/{before}">{before}</a>' in refused.text.partition("请先结算")[2]
    for month in (before, past):
        page = await world.see(f"/use/{month}")
        page = await world.send(page, f"/use/{month}/close")
        assert "账期已结算" in page.text
        assert page.url.path == f"/console/use/{month}"
        assert "本月已于" in page.text
        assert "/close" not in page.text
    earlier = await world.see(f"/use/{shifted(present, -3).name}?lang=en")
    assert "There is nothing to close of this month" in earlier.text
    assert f"the next one to close is {present.name}" in earlier.text


async def test_months_follow_each_other_over_the_turn_of_a_year() -> None:
    december = month_of(1_798_675_200)
    assert december.name == "2026-12"
    assert shifted(december, 1).name == "2027-01"
    assert shifted(shifted(december, 1), -13).name == "2025-12"
    assert shifted(december, 1).from_ == december.until
