"""Who used a company's data: every use, to whom it belongs, and to nobody else."""

import asyncio
import re
from uuid import uuid4

import pytest
from sqlalchemy import update

from consent.model import Actor
from consent.tables import CONSENT_REMOVAL
from creditgate.federated_query import region_client_id
from creditgate.v1.conformance_service_pb2 import FindingState, ListFindingsRequest
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from gateway.federation.asking.replays import Again, ChunkKey, RegionReplays
from gateway.meter.region_asks import RegionAsk, SqlRegionAsks
from tests.federation.asking.test_uses import NORTH, uses
from tests.federation.asking.under_consent import Elsewhere
from tests.installation import OPERATOR_ID, PUBLISHER, eventually
from tests.people import COMPANY, browser
from tests.server.calls import publish
from tests.subject.test_delegations import accepted, appointed, link_of, withdrawn
from tests.subject.world import (
    BANK_ID,
    EVALUATION,
    FIRM,
    INSURANCE,
    PENALTY,
    TAX,
    ZHAO_QIAN,
    World,
    evaluation,
    text_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_uses_under_a_consent_appear_at_once_and_public_ones_soon(world: World) -> None:
    consent = world.given(world.terms((TAX,)))
    await world.use(consent, [TAX])
    await world.use(None, [PENALTY])
    await world.signed_in()
    uses = await world.browser.go(world.my("/accesses"))
    told = text_of(uses)
    assert FIRM in told
    assert "查询纳税信息，2 条" in told
    assert "用于信贷审批" in told
    assert f"/consents/{consent.consent_id}" in uses.text

    async def public_too() -> bool:
        shown = text_of(await world.browser.go(world.my("/accesses")))
        return "查询行政处罚信息" in shown and "公示信息" in shown

    await eventually(public_too)


async def test_a_record_of_another_region_is_told_with_the_region_that_gave_it(
    world: World,
) -> None:
    consent = world.given(world.terms((TAX,)))
    elsewhere = Elsewhere(world.installation.engines.records)
    now = world.installation.clock.now()
    elsewhere.give(consent, uuid4().hex, now, subject=COMPANY, own_item=TAX)
    await world.signed_in()
    path = f"/accesses?consent={consent.consent_id}"
    told = text_of(await world.browser.go(world.my(path)))
    assert "查询纳税信息" in told
    assert "由 north.invalid 披露" in told
    assert "没有查到记录" not in told
    revoking = await world.browser.go(world.my(f"/consents/{consent.consent_id}/revoke"))
    assert "还没有取得过任何信息" not in text_of(revoking)


async def test_that_the_same_answer_was_sent_again_is_told_in_plain_words(world: World) -> None:
    consent, request_id = world.given(world.terms((TAX,))), str(uuid4())
    for _ in range(2):
        await world.use(consent, [TAX], request_id)
    await world.signed_in()

    async def told(language: str) -> str:
        path = f"/accesses?consent={consent.consent_id}&lang={language}"
        return text_of(await world.browser.go(world.my(path)))

    assert "同一次查询的结果又发送了 1 次，最近一次：" in await told("zh")
    assert "The same answer was sent again once, last on " in await told("en")
    await world.use(consent, [TAX], request_id)
    assert "同一次查询的结果又发送了 2 次" in await told("zh")
    assert "未另行计次，也不延长保存期" in await told("zh")
    assert "another use, and does not let them keep it longer" in await told("en")
    assert "sent again 2 times" in await told("en")


async def test_of_public_information_that_was_sent_again_no_data_life_is_told(world: World) -> None:
    request_id = str(uuid4())
    for _ in range(2):
        await world.use(None, [PENALTY], request_id)
    await world.signed_in()

    async def told() -> bool:
        shown = await world.browser.go(world.my("/accesses"))
        return "未另行计次</span>" in shown.text

    await eventually(told)


async def test_that_what_another_region_gave_was_sent_again_is_told_as_well(world: World) -> None:
    consent, records = world.given(world.terms((TAX,))), world.installation.engines.records
    now, request_id = world.installation.clock.now(), uuid4().hex
    Elsewhere(records).give(consent, request_id, now, subject=COMPANY, own_item=TAX)
    given = {use.key for use in uses(1)}
    again = Again(ChunkKey("alpha", request_id, NORTH, 0), given, now)
    RegionReplays(records).note_all([again] * 2)
    await world.signed_in()
    path = f"/accesses?consent={consent.consent_id}"
    told = text_of(await world.browser.go(world.my(path)))
    assert "由 north.invalid 披露" in told
    assert "同一次查询的结果又发送了 2 次，最近一次：" in told


async def test_the_operator_that_another_region_asked_for_is_named(world: World) -> None:
    consent, records = world.given(), world.installation.engines.records
    made = RegionAsk(
        operator_id=OPERATOR_ID,
        payload_digest=b"asked",
        request_id="r-1",
        region=NORTH,
        asking_operator="north-bank",
        asking_licence="L-1",
        asking_decision="decisions/d",
        mapping_version="1",
        credential="invented",
        asked_at=world.now,
    )
    SqlRegionAsks(records).keep([made])
    of_region = {"client_id": region_client_id(NORTH), "payload_digest": made.payload_digest}
    Elsewhere(records).ask(consent, world.now, **of_region)
    await world.signed_in()
    for language, told in (
        ("zh", "（为其机构 north-bank）"),
        ("en", " (for its operator north-bank)"),
    ):
        path = world.my(f"/accesses?consent={consent.consent_id}&lang={language}")
        assert FIRM + told in text_of(await world.browser.go(path))


async def test_uses_are_narrowed_by_operator_time_and_consent(world: World) -> None:
    consent, other = world.given(), world.given()
    await world.use(consent, [TAX])
    await world.use(other, [TAX])
    await world.signed_in()

    async def consents_shown(query: str) -> set[str]:
        page = await world.browser.go(world.my(f"/accesses?{query}"))
        return set(re.findall(r"/consents/([0-9a-f-]{35})", page.text))

    both = {consent.consent_id, other.consent_id}
    assert both <= await consents_shown(f"operator={OPERATOR_ID}&days=7")
    assert not both & await consents_shown(f"operator={BANK_ID}")
    assert await consents_shown(f"consent={consent.consent_id}") == {consent.consent_id}
    # What is no such thing narrows nothing and breaks nothing.
    assert both <= await consents_shown("operator=%3Cscript%3E&days=x&before=x&consent=x")


async def test_every_use_is_reached_page_by_page(world: World) -> None:
    consent = world.given()
    for _ in range(30):
        await world.use(consent, [TAX])
    await world.signed_in()
    page = await world.browser.go(world.my(f"/accesses?consent={consent.consent_id}"))
    records = 0
    while True:
        records += sum(map(int, re.findall(r"，(\d+) 条", text_of(page))))
        records += len(re.findall(r"查询纳税信息\s*<", page.text))
        if "更早的使用" not in page.text:
            break
        page = await world.browser.follow(page, "before=")
    assert records == 60


async def test_asking_under_a_consent_is_told_also_where_nothing_was_found(world: World) -> None:
    consent = world.given(world.terms((INSURANCE,)))
    await world.use(consent, [INSURANCE])
    await world.signed_in()
    for language, told in (
        ("zh", "依据授权查询社会保险费缴纳信息，没有查到记录"),
        ("en", "under a consent; no records were found"),
    ):
        path = f"/accesses?consent={consent.consent_id}&lang={language}"
        shown = text_of(await world.browser.go(world.my(path)))
        assert shown.count(told) == 1
        assert "数据来源地区" not in shown
        assert "region of the records" not in shown


async def test_records_of_several_divisions_are_told_with_each_of_them(world: World) -> None:
    divisions = ("110000", "440100", "110000", "440100")
    made = [evaluation(number, each, world.now) for number, each in enumerate(divisions)]
    async with world.gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, made)
    consent = world.given(world.terms((EVALUATION,)))
    await world.use(consent, [EVALUATION])
    await world.signed_in()
    path = world.my(f"/accesses?consent={consent.consent_id}")
    told = text_of(await world.browser.go(path))
    assert told.count("查询公共信用综合评价结果，2 条") == 2
    assert told.count("数据来源地区：北京市") == told.count("数据来源地区：广东省（440100）") == 1


async def test_of_the_items_asked_about_each_is_told_found_or_not(world: World) -> None:
    consent = world.given(world.terms((TAX, INSURANCE)))
    await world.use(consent, [TAX, INSURANCE])
    await world.signed_in()
    path = world.my(f"/accesses?consent={consent.consent_id}")
    told = text_of(await world.browser.go(path))
    assert told.count("查询纳税信息，2 条") == 1
    assert told.count("依据授权查询社会保险费缴纳信息，没有查到记录") == 1


async def test_a_deputy_limited_to_an_item_sees_that_it_was_asked_about_in_vain(
    world: World,
) -> None:
    consent = world.given(world.terms((INSURANCE,)))
    await world.use(consent, [INSURANCE])
    await world.signed_in()
    path = world.my(f"/accesses?consent={consent.consent_id}")
    for item, sees in ((INSURANCE, True), (TAX, False)):
        link = link_of(await appointed(world, {"power-see": "on", f"item-{item}": "on"}))
        async with browser(world.installation) as deputy:
            await accepted(world, link, deputy)
            assert ("没有查到记录" in (await deputy.go(path)).text) == sees
        withdrawn(world)


async def test_a_deputy_who_may_see_nothing_of_a_page_is_not_told_that_there_is_nothing(
    world: World,
) -> None:
    consent = world.given(world.terms((INSURANCE,)))
    await world.use(consent, [INSURANCE])
    other = world.given(world.terms((TAX,)))
    for _ in range(26):
        await world.use(other, [TAX])
    await world.signed_in()
    link = link_of(await appointed(world, {"power-see": "on", f"item-{INSURANCE}": "on"}))
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        page = await deputy.go(world.my("/accesses"))
        assert "没有使用记录" not in page.text
        earlier = await deputy.follow(page, "before=")
        assert consent.consent_id in earlier.text
    withdrawn(world)


async def test_nobody_else_sees_who_used_it(world: World) -> None:
    consent = world.given()
    await world.use(consent, [TAX])
    async with browser(world.installation) as stranger:
        await world.signed_in(ZHAO_QIAN, stranger)
        assert (await stranger.go(world.my("/accesses"))).status_code == 404
        own = await stranger.go(
            world.url(f"/my/91000000DEM000012D/accesses?consent={consent.consent_id}")
        )
        assert "没有使用记录" in own.text


async def nobody_accepts_just_now() -> None:
    """Let the second pass in which somebody accepted a delegation: it stays new within it."""
    await asyncio.sleep(1)


async def test_notices_tell_what_others_did_and_are_new_to_each_person_once(
    world: World,
) -> None:
    mine = world.move(world.given(), "revoke", Actor.OPERATOR, "业务<b>终止</b>")
    await world.signed_in()
    await nobody_accepts_just_now()
    shown = await world.browser.go(world.my("/notices"))
    assert "机构主动放弃授权" in shown.text
    assert "业务&lt;b&gt;终止" in shown.text
    assert f"/consents/{mine.consent_id}" in shown.text
    # What the company did itself is no news to it.
    assert "贵单位同意授权" not in shown.text
    assert re.search(r'/notices"[^>]*>通知 <span class="count">\d', shown.text)
    # A notice that came after the page was shown stays new.
    later = world.ask()
    after = await world.send(shown, "/seen")
    assert re.search(r'/notices"[^>]*>通知 <span class="count">1<', after.text)
    again = await world.send(after, "/seen")
    assert not re.search(r'/notices"[^>]*>通知 <span class="count">', again.text)
    assert "标为已读" not in again.text
    world.move(later, "refuse", Actor.SUBJECT)


async def test_a_removal_that_is_overdue_is_told_until_the_operator_reports_it(
    world: World,
) -> None:
    terms = world.terms((TAX,), data_life_seconds=1)
    consent = world.given(terms)
    await world.use(consent, [TAX])
    world.move(consent, "revoke", Actor.OPERATOR)
    # As if the day it has to report was over.
    with world.installation.engines.records.begin() as connection:
        connection.execute(
            update(CONSENT_REMOVAL)
            .where(CONSENT_REMOVAL.c.consent_id == consent.consent_id)
            .values(report_by=0)
        )
    await world.signed_in()
    await nobody_accepts_just_now()
    shown = await world.browser.go(world.my("/notices"))
    await world.send(shown, "/seen")

    async def overdue() -> bool:
        page = await world.browser.go(world.my("/notices"))
        told = "至今没有报告" in page.text and f"/consents/{consent.consent_id}" in page.text
        assert told == bool(re.search(r'/notices"[^>]*>通知 <span class="count">1<', page.text))
        return told

    async def found() -> bool:
        async with world.gateway.channel() as channel:
            answer = await ConformanceServiceStub(channel).ListFindings(
                ListFindingsRequest(state=FindingState.FINDING_STATE_OPEN)
            )
        return consent.name in {each.consent for each in answer.findings}

    await eventually(overdue)
    await eventually(found, 20)
    world.consents.acknowledge(
        consent.consent_id, consent.operator_id, world.now, "alpha-client", world.now
    )
    assert not await overdue()


async def test_no_page_of_notices_is_offered_that_would_be_empty(world: World) -> None:
    company = "91000000DEM000012D"
    for _ in range(30):
        world.ask(subject=company)
    await world.signed_in(ZHAO_QIAN)
    page = await world.browser.go(world.my("/notices", company))
    assert page.text.count("机构请求授权") == 30
    assert "更早的通知" not in page.text
    world.ask(subject=company)
    page = await world.browser.go(world.my("/notices", company))
    earlier = await world.browser.follow(page, "before=")
    assert earlier.text.count("机构请求授权") == 1


async def test_notices_are_marked_by_the_form_alone(world: World) -> None:
    world.move(world.given(), "revoke", Actor.OPERATOR)
    await world.signed_in()
    shown = await world.browser.go(world.my("/notices"))
    (newest,) = re.findall(r"/notices/(\d+)/seen", shown.text)
    for path, form in (
        (f"/notices/{newest}/seen", {"token": "0" * 64}),
        (
            f"/notices/{int(newest) + 5}/seen",
            {"token": re.findall(r'name="token" value="(\w+)"', shown.text)[-1]},
        ),
    ):
        assert (await world.browser.go(world.my(path), **form)).status_code == 403
    assert (await world.browser.go(world.my(f"/notices/{newest}/seen"))).status_code == 405
