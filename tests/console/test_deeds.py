"""What is done at the console acts like a call of the contract, under the same rules."""

import re
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import text

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.conformance.suspension import Suspensions
from tests.console.clearings import cleared
from tests.console.world import LICENSER, PRICING, SECOND, SECURER, World
from tests.installation import OPERATOR_ID, PUBLIC_ITEM, PURPOSE, company
from tests.people import LICENSING, age_sessions, browser
from tests.reports.asking import reason_of
from tests.subject.world import caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = "an invented <emergency> & more"


async def told(world: World) -> str:
    """Return why an operator's query is refused, "" where it is answered."""
    request = records_pb.GetSubjectRecordsRequest(
        subject=company(1), purpose=PURPOSE, request_id=str(uuid4()), items=[PUBLIC_ITEM]
    )
    async with world.gateway.channel() as channel:
        try:
            await records_grpc.CreditRecordServiceStub(channel).GetSubjectRecords(request)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
    return ""


@pytest.mark.parametrize(
    "fields",
    [{"reach": "everything"}, {"reach": "operator"}, {"reach": "item"}],
    ids=lambda fields: fields["reach"],
)
async def test_the_brake_stops_answers_until_it_is_released(
    world: World, fields: dict[str, str]
) -> None:
    await world.sign_in(SECURER)
    assert await told(world) == ""
    page = await world.see("/brakes")
    chosen = {"operator": OPERATOR_ID, "item": PUBLIC_ITEM}
    page = await world.send(page, "/brakes", **fields, **chosen, reason=WHY)
    assert "已刹车" in page.text
    assert "&lt;emergency&gt; &amp; more" in page.text
    assert await told(world) == "EMERGENCY_BRAKE"
    assert "正在紧急刹车" in (await world.see()).text
    page = await world.send(page, "/release", reason="over")
    assert "已解除" in page.text
    assert await told(world) == ""
    assert "正在紧急刹车" not in page.text


async def test_guarded_a_release_takes_a_fresh_sign_in_and_a_second_person(world: World) -> None:
    await world.guard(guarded=True)
    await world.sign_in(SECURER)
    page = await world.send(await world.see("/brakes"), "/brakes", reach="everything", reason=WHY)
    # Old: letting go takes more than the sign-in one came with.
    age_sessions(world.installation, signed_in=600)
    page = await world.see("/brakes")
    assert "/release" not in page.text
    page = await world.browser.sign_in(page, SECURER)
    assert page.url.path == "/console/brakes"
    page = await world.send(page, "/release", reason="over")
    assert "待另一人复核" in page.text
    assert await told(world) == "EMERGENCY_BRAKE"
    (proposal,) = [each for each in world.authority.proposals.values() if not each.decision]
    shown = await world.see(f"/proposals/{proposal.proposal_id}")
    assert "/approve" not in shown.text
    async with browser(world.installation) as visitor:
        other = replace(world, browser=visitor)
        page = await other.sign_in(SECOND, f"/proposals/{proposal.proposal_id}")
        page = await visitor.sign_in(page, SECOND) if "/approve" not in page.text else page
        page = await other.send(page, "/approve", reason="seen")
        assert "已批准" in page.text
    assert await told(world) == ""


async def test_nobody_approves_their_own_proposal_whatever_they_send(world: World) -> None:
    await world.guard(guarded=True)
    await world.sign_in(SECURER)
    page = await world.send(await world.see("/brakes"), "/brakes", reach="everything", reason=WHY)
    page = await world.browser.sign_in(page, SECURER) if "/release" not in page.text else page
    await world.send(page, "/release", reason="over")
    (proposal,) = [each for each in world.authority.proposals.values() if not each.decision]
    path = f"/proposals/{proposal.proposal_id}"
    shown = await world.see(path)
    rejecting = await world.send(shown, "/reject", reason="no longer")
    assert "已驳回" in rejecting.text
    sent = await world.browser.go(world.url(f"{path}/approve"), token="made-up", reason="mine")
    assert sent.status_code == 403
    assert world.authority.brakes.everything
    await world.guard(guarded=False)
    page = await world.see("/brakes")
    await world.send(page, "/release", reason="over")


async def test_an_operator_is_suspended_and_reinstated(world: World) -> None:
    page = await world.sign_in(LICENSER, f"/operators/{OPERATOR_ID}")
    page = await world.send(page, "/suspend", reason=WHY)
    assert "已暂停该机构" in page.text
    assert world.authority.operators[OPERATOR_ID].state == OperatorState.OPERATOR_STATE_SUSPENDED
    change = world.installation.log.since(world.installation.log.head() - 1)[0]
    assert (change.changed_by, change.reason) == ("administrator:zhang-li", WHY)
    page = await world.send(page, "/reinstate", reason="over")
    history = page.text.partition("变更记录")[2]
    assert history.index("over") < history.index("an invented &lt;emergency&gt; &amp; more")
    assert world.authority.operators[OPERATOR_ID].state == OperatorState.OPERATOR_STATE_ACTIVE


async def test_an_operator_suspended_for_findings_is_suspended_besides(world: World) -> None:
    log = world.installation.log
    suspensions = Suspensions(log)
    present = suspensions.of(OPERATOR_ID)
    assert present is not None
    assert suspensions.suspend(present, world.installation.clock.now())
    await caught_up()
    page = await world.sign_in(LICENSER, f"/operators/{OPERATOR_ID}")
    assert "/reinstate" in page.text
    page = await world.send(page, "/suspend", reason=WHY)
    assert "已暂停该机构" in page.text
    assert "/suspend" not in page.text
    found = suspensions.of(OPERATOR_ID)
    assert found is not None
    assert not found.own
    await world.send(page, "/reinstate", reason="over")


async def test_a_role_without_the_scope_has_no_form_and_what_it_sends_is_refused(
    world: World,
) -> None:
    page = await world.sign_in(LICENSER, f"/operators/{OPERATOR_ID}")
    world.administer(LICENSER, [PRICING])
    await caught_up()
    sent = await world.send(page, "/suspend", reason=WHY)
    assert "您的角色没有这项权限" in sent.text
    assert "/suspend" not in sent.text
    assert world.authority.operators[OPERATOR_ID].state == OperatorState.OPERATOR_STATE_ACTIVE


async def test_a_form_is_good_for_what_it_was_shown_for_in_its_own_browser(world: World) -> None:
    page = await world.sign_in(SECURER, "/brakes")
    for token in ("", "made-up"):
        sent = await world.browser.go(
            world.url("/brakes"), token=token, reach="everything", reason=WHY
        )
        assert sent.status_code == 403
    async with browser(world.installation) as visitor:
        other = replace(world, browser=visitor)
        await other.sign_in(SECOND, "/brakes")
        sent = await other.send(page, "/brakes", reach="everything", reason=WHY)
        assert sent.status_code == 403
    assert not world.authority.brakes.everything


@pytest.mark.parametrize(
    "fields",
    [
        {"reach": "everything", "reason": ""},
        {"reach": "operator", "operator": "nobody", "reason": WHY},
        {"reach": "item", "item": "nothing", "reason": WHY},
        {"reach": "operator", "operator": "", "reason": WHY},
    ],
    ids=str,
)
async def test_what_is_refused_is_told_on_the_page(world: World, fields: dict[str, str]) -> None:
    page = await world.sign_in(SECURER, "/brakes")
    page = await world.send(page, "/brakes", **fields)
    assert "没有办理" in page.text
    assert page.url.path == "/console/brakes"
    assert not world.authority.brakes.engaged()


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "   ",
            (
                "没有办理：请填写理由，只有空格不算。",
                "Not done: give a reason; blanks alone are none.",
            ),
        ),
        (
            "\u202eabc",
            ("没有办理：理由中有看不见的字符", "Not done: the reason has characters that are not"),
        ),
        ("a" * 501, ("没有办理：理由太长", "Not done: the reason is too long")),
    ],
    ids=["blank", "hidden", "long"],
)
async def test_a_refused_form_comes_back_as_it_was_filled_in_and_says_what_to_mend(
    world: World, reason: str, told: tuple[str, str]
) -> None:
    await world.sign_in(SECURER)
    for words, query in zip(told, ("", "?lang=en"), strict=True):
        page = await world.see(f"/brakes{query}")
        assert "checked" not in page.text
        page = await world.send(
            page, "/brakes", reach="item", operator="beta", item=PUBLIC_ITEM, reason=reason
        )
        assert page.status_code == 400
        assert words in page.text.partition('role="alert"')[2].partition("</p>")[0]
        assert re.findall(r'value="(\w+)"[^>]* checked', page.text) == ["item"]
        assert f'<option value="{PUBLIC_ITEM}" selected>' in page.text
        assert f'autocomplete="off" value="{reason}">' in page.text
    assert not world.authority.brakes.engaged()
    page = await world.see("/brakes?lang=en")
    page = await world.send(page, "/brakes", reach="everything", reason=reason)
    # What comes back is a form like any other.
    page = await world.send(page, "/brakes", reach="everything", reason=WHY)
    assert "Engaged: every process stops" in page.text
    assert page.text.count("<details") == 1
    page = await world.send(page, "/release", reason=reason)
    assert told[1] in page.text
    assert page.text.count("<details open>") == page.text.count(f'off" value="{reason}">') == 1
    # The other language has the page that it stands on.
    assert 'href="/console/brakes"' in page.text
    await world.send(page, "/release", reason="over")


async def test_what_was_refused_stands_in_its_own_form_alone(world: World) -> None:
    await world.guard(guarded=True)
    await world.sign_in(SECURER)
    page = await world.send(await world.see("/brakes"), "/brakes", reach="everything", reason=WHY)
    page = await world.browser.sign_in(page, SECURER) if "/release" not in page.text else page
    await world.send(page, "/release", reason="over")
    (proposal,) = [each for each in world.authority.proposals.values() if not each.decision]
    async with browser(world.installation) as visitor:
        other = replace(world, browser=visitor)
        page = await other.sign_in(SECOND, f"/proposals/{proposal.proposal_id}")
        page = await visitor.sign_in(page, SECOND) if "/approve" not in page.text else page
        page = await other.send(page, "/reject", reason="\u202eno")
        assert page.text.count('value="\u202eno"') == 1
        assert 'value="\u202eno"' in page.text.partition("/reject")[2]
        page = await other.send(page, "/reject", reason="no")
        assert "已驳回" in page.text
        page = await other.send(await other.see("/brakes"), "/release", reason="over")
    await world.guard(guarded=False)
    page = await world.see("/brakes")
    await world.send(page, "/release", reason="over")


async def test_a_form_sent_after_the_session_is_not_taken(world: World) -> None:
    page = await world.sign_in(SECURER, "/brakes")
    age_sessions(world.installation, idle=100_000)
    page = await world.send(page, "/brakes", reach="everything", reason=WHY)
    assert "您的登录已到时间" in page.text
    assert not world.authority.brakes.everything


async def test_refusals_at_the_console_are_in_the_log_of_refusals(world: World) -> None:
    page = await world.sign_in(SECURER, "/brakes")
    await world.send(page, "/brakes", reach="item", item="nothing", reason=WHY)
    with world.installation.engines.records.connect() as connection:
        rows = connection.execute(
            text("SELECT method FROM refusals WHERE client_id = 'gateway:console'")
        ).all()
    assert ("BrakeService/EngageBrake",) in rows


async def test_a_refused_dispute_keeps_whose_version_was_chosen_while_it_is_that_version(
    world: World,
) -> None:
    cleared(world.installation)
    world.administer(LICENSER, [LICENSING, PRICING])
    await caught_up()
    page = await world.sign_in(LICENSER, "/clearing?lang=en")
    refused = await world.send(page, "/resolve", stands="home", reason=" ")
    assert "give a reason" in refused.text
    assert re.findall(r'value="(\w+)"[^>]* checked', refused.text) == ["home"]
    # Of another version nobody has said yet that it stands.
    shown = re.sub(r'(name="home_version" value=")[^"]+', r"\1other", page.text)
    form = shown.partition("/resolve")[2].partition("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    at = str(refused.url)
    refused = await world.browser.go(at, **hidden, stands="home", reason=" ")
    assert "give a reason" in refused.text
    assert " checked" not in refused.text
