"""The pages tell what the ledger, the statements and the authority log tell."""

import asyncio
import re
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

import pytest
import pytest_asyncio

from gateway.documents import service
from gateway.settle.month import month_of, shifted
from operators.model import CLIENT, LICENCE, Licence
from tests.braking import brake
from tests.installation import OPERATOR_CLIENT, OPERATOR_ID, PUBLIC_ITEM, PURPOSE
from tests.portal.world import OTHER, REPRESENTATIVE, PortalWorld
from tests.subject.world import caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def used(site: PortalWorld) -> None:
    """Three records were used, whichever test comes first, and not in this very second: a forecast
    leaves that out, and is remembered."""
    await site.use(3)
    await asyncio.sleep(1)


def cards(text: str) -> dict[str, str]:
    """Return what the cards at a glance tell, by title."""
    found = re.findall(r'<span class="what">([^<]+)</span> <strong>([^<]+)</strong>', text)
    return dict(found)


async def test_use_cost_and_quota_are_those_of_the_ledger(world: PortalWorld) -> None:
    page = await world.sign_in(REPRESENTATIVE)
    told = cards(page.text)
    assert told["本月费用"] == "0.75 元"
    assert told["今日剩余额度"] == "999,997"
    assert told["一致性问题"] == "0"
    now = world.installation.clock.now()
    today = datetime.fromtimestamp(now, UTC).strftime("%m-%d")
    assert f'<th scope="row">{today}</th><td>3</td>' in page.text
    used = await world.see(f"/{OPERATOR_ID}/use")
    assert "测试目录项 (penalty)" in used.text
    assert "<dt>今日已用</dt><dd>3</dd>" in used.text
    assert "<dt>已确认</dt><dd>0</dd>" in used.text
    statement = await world.see(f"/{OPERATOR_ID}/statements/{month_of(now).name}")
    assert "<strong>0.75 元</strong>" in statement.text
    shares = statement.text.partition("应付的去向")[2].partition("</table>")[0]
    amounts = re.findall(r"</svg> ([0-9.]+) 元", shares)
    assert sum(round(float(each) * 1_000_000) for each in amounts) == 750_000
    listed = await world.see(f"/{OPERATOR_ID}/statements")
    assert "<dd>0.75 元</dd>" in listed.text


async def test_each_licence_has_its_own_use_of_the_day(world: PortalWorld) -> None:
    await world.sign_in(REPRESENTATIVE)
    before = cards((await world.see(f"/{OPERATOR_ID}")).text)["今日剩余额度"]
    now = world.installation.clock.now()
    licence = Licence(
        number="L-TODAY",
        operator_id=OPERATOR_ID,
        valid_from=now - 1,
        valid_until=now + 3_600,
        items=frozenset({"registration"}),
        purposes=frozenset({PURPOSE}),
        regions=frozenset({"*"}),
        daily_record_quota=7,
    )
    world.installation.keep(LICENCE, "L-TODAY", licence)
    await caught_up()
    page = await world.see(f"/{OPERATOR_ID}/use?lang=zh")
    shown = page.text.partition("L-TODAY")[2]
    assert "<dt>今日已用</dt><dd>0</dd>" in shown
    assert "<dt>剩余</dt><dd>7</dd>" in shown
    left = cards((await world.see(f"/{OPERATOR_ID}")).text)["今日剩余额度"]
    assert int(left.replace(",", "")) == int(before.replace(",", "")) + 7
    world.installation.keep(
        LICENCE, "L-TODAY", licence.model_copy(update={"version": 1, "revoked_at": now})
    )
    await caught_up()


async def test_a_line_of_a_statement_leads_to_its_uses(world: PortalWorld) -> None:
    await world.sign_in(REPRESENTATIVE)
    month = month_of(world.installation.clock.now()).name
    page = await world.see(f"/{OPERATOR_ID}/statements/{month}")
    uses = await world.browser.follow(page, "/uses")
    assert uses.url.path == f"/portal/{OPERATOR_ID}/statements/{month}/uses"
    assert dict(uses.url.params)["item"] == PUBLIC_ITEM
    records = re.findall(r"<h2><code>([^<]+)</code>", uses.text)
    assert len(records) == 3
    assert "<dd>0.25 元</dd>" in uses.text
    assert f"operators/{OPERATOR_ID}/usage/0-0" in uses.text
    none = await world.see(f"/{OPERATOR_ID}/statements/{month}/uses?item=tax")
    assert "没有使用" in none.text
    other = await world.see(f"/{OPERATOR_ID}/statements/{month}/uses?page=made-up")
    assert other.status_code == 404


async def test_a_statement_says_of_what_it_is_made(world: PortalWorld) -> None:
    await world.sign_in(REPRESENTATIVE)
    month = month_of(world.installation.clock.now()).name
    page = await world.see(f"/{OPERATOR_ID}/statements/{month}?lang=en")
    made = page.text.partition("What the fees are made of")[2]
    assert "<h3>CNY 0.75</h3>" in made
    assert "plan-1 · class:adverse" in made
    assert "<dd>rule-1</dd>" in page.text
    assert "Amounts may still change" in page.text


@pytest.mark.parametrize(
    ("form", "media_type", "begins"),
    [
        ("pdf", "application/pdf", b"%PDF-"),
        ("json", "application/jose", b"ey"),
        ("csv", "text/csv", b"\xef\xbb\xbf"),
        ("parquet", "application/vnd.apache.parquet", b"PAR1"),
    ],
)
async def test_a_statement_is_downloaded_in_each_form(
    world: PortalWorld, form: str, media_type: str, begins: bytes
) -> None:
    await world.sign_in(REPRESENTATIVE)
    month = month_of(world.installation.clock.now()).name
    page = await world.see(f"/{OPERATOR_ID}/statements/{month}")
    assert f'href="/portal/{OPERATOR_ID}/statements/{month}/{form}"' in page.text
    given = await world.see(f"/{OPERATOR_ID}/statements/{month}/{form}")
    assert given.status_code == 200
    assert given.headers["content-type"].startswith(media_type)
    assert f'filename="statement-{OPERATOR_ID}-{month}' in given.headers["content-disposition"]
    assert given.headers["cache-control"] == "no-store"
    assert given.content.startswith(begins)


async def test_a_document_in_many_parts_is_given_whole(
    world: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_PART_BYTES", 64)
    await world.sign_in(REPRESENTATIVE)
    month = month_of(world.installation.clock.now()).name
    given = await world.see(f"/{OPERATOR_ID}/statements/{month}/csv")
    assert len(given.content) > 128
    digest = b64encode(sha256(given.content).digest()).decode()
    assert given.headers["repr-digest"] == f"sha-256=:{digest}:"


async def test_there_are_no_other_forms_and_no_other_operators_documents(
    world: PortalWorld,
) -> None:
    await world.sign_in(REPRESENTATIVE)
    month = month_of(world.installation.clock.now()).name
    for path in (f"/{OPERATOR_ID}/statements/{month}/exe", f"/beta/statements/{month}/pdf"):
        assert (await world.see(path)).status_code == 404


async def test_the_forecast_goes_on_as_the_last_seven_days_did(world: PortalWorld) -> None:
    page = await world.sign_in(REPRESENTATIVE)
    now = world.installation.clock.now()
    last = month_of(now).until - 1
    # It was used within the last minute.
    expected = {3 + 3 * ((last - at) // (7 * 86_400)) for at in (now - 60, now)}
    (amount,) = re.findall(r"([0-9.]+) 元", cards(page.text)["本月预计"])
    assert round(float(amount) / 0.25) in expected
    assert "假定本月余下的日子与最近七天相同" in page.text


async def test_an_operator_without_use_is_told_of_none(world: PortalWorld) -> None:
    page = await world.sign_in(OTHER)
    told = cards(page.text)
    assert (told["本月费用"], told["本月预计"]) == ("0.00 元", "0.00 元")
    assert told["今日剩余额度"] == "10"
    assert "没有数据" in page.text


async def test_months_are_gone_through_and_none_of_the_future_is_shown(world: PortalWorld) -> None:
    await world.sign_in(REPRESENTATIVE)
    present = month_of(world.installation.clock.now())
    before, after = shifted(present, -1).name, shifted(present, 1).name
    page = await world.see(f"/{OPERATOR_ID}/use?month={before}")
    assert f"month={present.name}" in page.text
    assert f"month={after}" not in (await world.see(f"/{OPERATOR_ID}/use")).text
    for name in (after, "nonsense", "2026-13"):
        assert (await world.see(f"/{OPERATOR_ID}/use?month={name}")).status_code == 404
        assert (await world.see(f"/{OPERATOR_ID}/statements/{name}")).status_code == 404


async def test_months_are_gone_back_through_to_the_first_there_is(world: PortalWorld) -> None:
    await world.sign_in(REPRESENTATIVE)
    page = await world.see(f"/{OPERATOR_ID}/use?month=1970-01")
    assert page.status_code == 200
    assert "1969-12" not in page.text
    assert (await world.see(f"/{OPERATOR_ID}/statements/1970-01")).status_code == 200
    for name in ("use?month=1969-12", "statements/1969-12"):
        assert (await world.see(f"/{OPERATOR_ID}/{name}")).status_code == 404


async def test_a_month_before_any_sharing_rule_is_not_a_failure(world: PortalWorld) -> None:
    await world.sign_in(REPRESENTATIVE)
    page = await world.see(f"/{OPERATOR_ID}/statements/1999-01")
    assert page.status_code == 200
    assert "没有使用" in page.text


async def test_keys_are_shown_with_the_day_they_were_registered(world: PortalWorld) -> None:
    page = await world.sign_in(REPRESENTATIVE, f"/{OPERATOR_ID}/keys")
    client = world.authority.clients[OPERATOR_CLIENT]
    (certificate,) = client.certificate_thumbprints
    assert OPERATOR_CLIENT in page.text
    assert certificate in page.text
    assert "已用 0 天" in page.text
    assert "L-ALPHA" in page.text
    assert "usage:read" in page.text
    assert "publisher" not in page.text


async def test_a_client_that_was_removed_is_not_shown(world: PortalWorld) -> None:
    client = world.authority.clients[OPERATOR_CLIENT]
    removed = client.model_copy(update={"removed_at": world.installation.clock.now()})
    world.installation.keep(CLIENT, OPERATOR_CLIENT, removed)
    await caught_up()
    page = await world.sign_in(REPRESENTATIVE, f"/{OPERATOR_ID}/keys")
    assert OPERATOR_CLIENT not in page.text
    world.installation.keep(CLIENT, OPERATOR_CLIENT, client)
    await caught_up()


async def test_findings_are_told_as_the_contract_tells_them(world: PortalWorld) -> None:
    await world.hold("never-served")
    page = await world.sign_in(REPRESENTATIVE, f"/{OPERATOR_ID}/conformance")
    assert "来源不明" in page.text
    assert "records/never-served" in page.text
    assert "待整改" in page.text
    assert cards((await world.see(f"/{OPERATOR_ID}")).text)["一致性问题"] == "1"


async def test_an_operator_is_told_that_it_is_stopped_by_the_brake(world: PortalWorld) -> None:
    stopped = brake("b-9", "OPERATOR", OPERATOR_ID)
    world.installation.keep("brake", "b-9", stopped)
    await caught_up()
    assert "紧急刹车" in (await world.sign_in(REPRESENTATIVE)).text
    over = brake("b-9", "OPERATOR", OPERATOR_ID, released_at=world.installation.clock.now())
    world.installation.keep("brake", "b-9", over)
    await caught_up()
    assert "紧急刹车" not in (await world.see(f"/{OPERATOR_ID}")).text


async def test_names_are_shown_as_they_are_and_never_as_markup(world: PortalWorld) -> None:
    await world.become(OPERATOR_ID, display_name="<b>alpha</b> & co")
    page = await world.sign_in(REPRESENTATIVE)
    assert "&lt;b&gt;alpha&lt;/b&gt; &amp; co" in page.text
    assert "<b>alpha" not in page.text
    await world.become(OPERATOR_ID, display_name="Invented firm alpha")


async def test_alerts_are_those_on_the_operator_without_what_was_noted(
    world: PortalWorld,
) -> None:
    world.alert()
    world.alert(looked_into=True)
    world.alert("beta")
    await world.sign_in(REPRESENTATIVE)
    page = await world.see(f"/{OPERATOR_ID}/alerts")
    assert page.text.count("<h2>") == 2
    assert "大量交付未确认" in page.text
    assert "6,100 条记录，达到 5,000 即提示" in page.text
    assert "用途漂移：信贷审批" in page.text
    assert (page.text.count("待核实"), page.text.count(">已核实<")) == (1, 1)
    assert "the-office" not in page.text
    assert "told us before" not in page.text
    english = await world.see(f"/{OPERATOR_ID}/alerts?lang=en")
    assert "Deliveries not acknowledged" in english.text


async def test_alerts_on_another_operator_are_not_shown(world: PortalWorld) -> None:
    world.alert("beta")
    await world.sign_in(OTHER)
    assert (await world.see("/beta/alerts")).text.count("<h2>") == 1
    assert (await world.see(f"/{OPERATOR_ID}/alerts")).status_code == 404


async def test_a_use_of_another_region_names_it_its_consent_and_the_own_request(
    world: PortalWorld,
) -> None:
    world.used_elsewhere("https://two.example", "consents/c-1")
    await world.sign_in(REPRESENTATIVE)
    month = month_of(world.installation.clock.now()).name
    page = await world.see(f"/{OPERATOR_ID}/statements/{month}/uses?lang=en")
    *own, use = page.text.partition('<ul class="cards">')[2].split("<h2>")
    assert "<code>away-1</code>" in use
    assert "<dt>Disclosed by</dt><dd><bdi>two.example</bdi></dd>" in use
    assert "<dt>Consent</dt><dd><code>consents/c-1</code></dd>" in use
    assert "<code>asked</code>" in use
    assert "creditgate consent show tells" in use
    assert not any("Disclosed by" in each for each in own)
