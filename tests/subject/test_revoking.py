"""Revoking in two clicks, with what happens next, at once."""

import asyncio

import grpc
import pytest
from sqlalchemy import update

from consent.model import ONCE, Actor
from consent.states import REVOKED
from consent.tables import CONSENT_REMOVAL
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from gateway.pages.moments import moment
from sdk.refusals import explain
from tests.people import browser
from tests.subject.world import BANK_ID, DAY, INSURANCE, TAX, ZHAO_QIAN, World, forms_of, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_clicks_from_the_list_end_a_consent_and_the_next_call_is_refused(
    world: World,
) -> None:
    consent = world.given(world.terms((TAX,)))
    await world.use(consent, [TAX])
    await world.signed_in()
    consents = await world.browser.go(world.my("/consents"))
    asked = await world.browser.follow(consents, f"{consent.consent_id}/revoke")
    done = await world.send(asked, "/revoke")
    assert "授权已撤回" in done.text
    assert world.standing(consent).state == REVOKED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.use(consent, [TAX])
    told = explain(refused.value)
    assert told is not None
    assert "CONSENT_REVOKED" in str(told)
    # Their duty, and how it stands.
    assert "须在" in done.text
    assert "删除" in done.text


async def test_what_happens_next_is_told_before_it_is_done(world: World) -> None:
    untouched = world.given(world.terms((INSURANCE,)))
    await world.signed_in()
    address = world.my(f"/consents/{untouched.consent_id}/revoke")
    shown = await world.browser.go(address)
    for words in ("立即停止", "没有需要处理的副本", "不能恢复", "不需要说明理由"):
        assert words in shown.text


@pytest.mark.parametrize(
    ("life", "end", "words"),
    [
        (30 * DAY, DataLifeEnd.DATA_LIFE_END_DELETE, "删除"),
        (30 * DAY, DataLifeEnd.DATA_LIFE_END_ANONYMISE, "匿名化"),
        (3_600, DataLifeEnd.DATA_LIFE_END_DELETE, "删除"),
    ],
)
async def test_the_deadline_shown_is_the_one_that_will_hold(
    world: World, life: int, end: DataLifeEnd.ValueType, words: str
) -> None:
    consent = world.given(world.terms(data_life_seconds=life, data_life_end=end))
    await world.use(consent, [TAX])
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}/revoke"))
    assert words in shown.text
    earliest = world.now + min(life, DAY)
    near = {moment(earliest + skew, "zh") for skew in range(-60, 1)}
    assert any(each in shown.text for each in near)
    await world.send(shown, "/revoke")
    removal = world.consents.removals([consent.consent_id])[consent.consent_id]
    assert moment(removal.deadline, "zh") in near


async def test_a_consent_on_hold_can_be_revoked(world: World) -> None:
    consent = world.given(operator_id=BANK_ID)
    world.move(consent, "pause", Actor.ADMINISTRATOR, "投诉调查")
    await world.signed_in()
    page = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    asked = await world.browser.follow(page, "/revoke")
    await world.send(asked, "/revoke")
    assert world.standing(consent).state == REVOKED


async def test_a_revocation_without_the_forms_token_is_not_taken(world: World) -> None:
    consent, other = world.given(), world.given()
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}/revoke")
    shown = await world.browser.go(world.my(f"/consents/{other.consent_id}/revoke"))
    ((_, others),) = forms_of(shown, "/revoke")
    for form in ({"token": ""}, {"token": "0" * 64}, others):
        assert (await world.browser.go(address, **form)).status_code == 403
    assert world.standing(consent).state != REVOKED
    # Nor by following a link.
    assert (await world.browser.go(address)).status_code == 200
    assert world.standing(consent).state != REVOKED


async def test_what_has_ended_or_is_not_ones_own_cannot_be_revoked(world: World) -> None:
    ended = world.move(world.given(), "revoke", Actor.OPERATOR)
    await world.signed_in()
    assert (
        await world.browser.go(world.my(f"/consents/{ended.consent_id}/revoke"))
    ).status_code == 409
    own = world.given()
    address = world.my(f"/consents/{own.consent_id}/revoke")
    async with browser(world.installation) as stranger:
        await world.signed_in(ZHAO_QIAN, stranger)
        assert (await stranger.go(address)).status_code == 404
        assert (await stranger.go(address, token="x")).status_code == 404
    assert world.standing(own).state != REVOKED


async def test_what_was_used_up_can_still_be_taken_back_and_no_more_than_once(
    world: World,
) -> None:
    consent = world.given(world.terms((TAX,), access_mode=ONCE))
    await world.use(consent, [TAX])
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    page = await world.browser.go(address)
    assert "已按约定用完" in page.text
    assert "仍可以撤回" in page.text
    asked = await world.browser.follow(page, "/revoke")
    for words in ("授权已经结束", "不再重发", "删除"):
        assert words in asked.text
    assert "立即停止" not in asked.text
    done = await world.send(asked, "/revoke")
    assert "授权已撤回" in done.text
    assert world.standing(consent).state == REVOKED
    removal = world.consents.removals([consent.consent_id])[consent.consent_id]
    assert removal.deadline <= world.now + DAY
    assert "/revoke" not in done.text
    assert (await world.browser.go(f"{address}/revoke")).status_code == 409


async def test_what_ended_and_is_not_held_any_more_offers_nothing_to_take_back(
    world: World,
) -> None:
    held = world.given(world.terms((TAX,), access_mode=ONCE))
    await world.use(held, [TAX])
    world.consents.settle(held.consent_id, world.now)
    world.consents.acknowledge(held.consent_id, held.operator_id, world.now, "x", world.now)
    nothing = world.given(world.terms((INSURANCE,), access_mode=ONCE))
    await world.use(nothing, [INSURANCE])
    await world.signed_in()
    for consent in (held, nothing):
        address = world.my(f"/consents/{consent.consent_id}")
        page = await world.browser.go(address)
        assert "已按约定用完" in page.text
        assert "/revoke" not in page.text
        assert (await world.browser.go(f"{address}/revoke")).status_code == 409


async def test_what_should_be_gone_already_is_told_as_past_and_not_as_late(world: World) -> None:
    consent = world.given(world.terms((TAX,), data_life_seconds=1))
    await world.use(consent, [TAX])
    await asyncio.sleep(1.1)
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    shown = await world.browser.go(f"{address}/revoke?lang=en")
    assert "was to be gone by" in text_of(shown)
    done = await world.send(await world.browser.go(f"{address}/revoke"), "/revoke")
    removal = world.consents.removals([consent.consent_id])[consent.consent_id]
    assert removal.deadline <= world.now < removal.report_by
    assert "逾期" not in done.text
    now = world.now
    world.consents.acknowledge(consent.consent_id, consent.operator_id, removal.deadline, "x", now)
    told = text_of(await world.browser.go(f"{address}?lang=en"))
    assert "they reported" in told
    assert "late" not in told


async def test_what_they_reported_to_be_gone_is_not_told_as_still_to_be_reported(
    world: World,
) -> None:
    consent = world.given(world.terms((TAX,), data_life_seconds=1))
    await world.use(consent, [TAX])
    await asyncio.sleep(1.1)
    now = world.now
    world.consents.acknowledge(consent.consent_id, consent.operator_id, now, "x", now)
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}/revoke?lang=en")
    told = text_of(await world.browser.go(address))
    assert "nothing of what they received is held any more" in told
    assert "must report" not in told
    # What they get after that is told as ever.
    await world.use(consent, [TAX])
    assert "they must report it" in text_of(await world.browser.go(address))


async def test_how_long_a_copy_was_kept_is_told_by_the_word_of_its_removal(world: World) -> None:
    consent = world.given(world.terms((TAX,), data_life_seconds=1))
    await world.use(consent, [TAX])
    await asyncio.sleep(2.1)
    now = world.now
    world.consents.acknowledge(consent.consent_id, consent.operator_id, now, "x", now)
    # As if it was gone an hour too late.
    with world.installation.engines.records.begin() as connection:
        connection.execute(
            update(CONSENT_REMOVAL)
            .where(CONSENT_REMOVAL.c.consent_id == consent.consent_id)
            .values(deadline=now - 3_600)
        )
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}?lang=en")
    told = text_of(await world.browser.go(address))
    assert "By their word it was gone on" in told
    assert "late" not in told
    assert "reached the end of its time" in told
