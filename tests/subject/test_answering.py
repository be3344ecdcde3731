"""A subject answers what it was shown, once, and nobody answers for it."""

import hashlib
import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import httpx
import pytest

from consent.model import Actor, ConsentItem
from consent.states import GRANTED, REFUSED, REQUESTED
from creditgate.v1.operator_service_pb2 import OperatorState
from operators.model import OPERATOR
from tests.people import browser
from tests.subject.world import (
    BANK,
    BANK_ID,
    DAY,
    EVALUATION,
    INSURANCE,
    TAX,
    ZHAO_QIAN,
    World,
    caught_up,
    forms_of,
    rename,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def told(page: httpx.Response) -> str:
    """Return what the page tells of the consent, line by line, as it stands there."""
    inner = page.text.partition('<div class="terms">')[2].partition('<div class="deeds')[0]
    lines: Sequence[str] = re.findall(
        r"<(?:p|dt|blockquote)[ >].*?</(?:p|dt|blockquote)>", inner, re.S
    )
    return "\n".join(unescape(re.sub(r"<[^>]+>", "", line)) for line in lines)


async def test_a_request_waits_in_the_inbox_until_it_is_answered(world: World) -> None:
    consent = world.ask(world.terms((INSURANCE,)), operator_id=BANK_ID)
    await world.signed_in()
    inbox = await world.browser.go(world.my("/inbox"))
    assert BANK in inbox.text
    assert "社会保险费缴纳信息" in inbox.text
    shown = await world.browser.follow(inbox, consent.consent_id)
    done = await world.send(shown, "/grant")
    assert "您已同意授权" in done.text
    assert consent.consent_id not in (await world.browser.go(world.my("/inbox"))).text
    assert consent.consent_id in (await world.browser.go(world.my("/consents"))).text


@pytest.mark.parametrize(("lang", "tag"), [("zh", "zh-CN"), ("en", "en")])
async def test_the_digest_kept_is_of_the_very_words_the_page_showed(
    world: World, lang: str, tag: str
) -> None:
    consent = world.ask(
        world.terms((ConsentItem(item=TAX, fields=frozenset({"tax_year"})), EVALUATION)),
        message="贵单位申请了贷款 <b>&amp;</b> We need it to decide.",
    )
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}?lang={lang}"))
    words = told(shown)
    assert consent.message in words
    await world.send(shown, "/grant")
    granted = world.standing(consent)
    assert granted.state == GRANTED
    assert granted.notice is not None
    assert granted.notice.text_digest == hashlib.sha256(words.encode()).hexdigest()
    assert granted.notice.language == tag
    assert granted.signer.startswith("representative:")
    assert granted.delegation == ""
    assert granted.receipt.count(".") == 2


async def test_a_refusal_is_kept_and_costs_nothing(world: World) -> None:
    consent = world.ask()
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    assert "没有任何不利后果" in shown.text
    done = await world.send(shown, "/refuse")
    assert "没有任何不利后果" in done.text
    refused = world.standing(consent)
    assert (refused.state, refused.receipt) == (REFUSED, "")
    assert refused.signer.startswith("representative:")


async def test_an_answer_is_taken_once(world: World) -> None:
    consent = world.ask()
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    await world.send(shown, "/grant")
    version = world.standing(consent).version
    for answer in ("grant", "refuse"):
        again = await world.send(shown, f"/{answer}")
        assert again.status_code == 409
        assert "没有办理" in again.text
    assert world.standing(consent).version == version


async def test_words_that_changed_since_they_were_shown_are_not_agreed_to(world: World) -> None:
    consent = world.ask(operator_id=BANK_ID)
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    shown = await world.browser.go(address)
    english = await world.browser.go(f"{address}?lang=en")
    rename(world.installation, BANK_ID, "改名银行（虚构）")
    await caught_up()
    for page in (shown, english):
        assert (await world.send(page, "/grant")).status_code == 403
    # A form shown in one language does not agree to the other.
    ((_, form),) = forms_of(await world.browser.go(address), "/grant")
    assert (await world.browser.go(f"{address}/grant?lang=en", **form)).status_code == 403
    assert world.standing(consent).state == REQUESTED
    # Refusing takes no reading again.
    assert (await world.send(shown, "/refuse")).status_code == 200
    rename(world.installation, BANK_ID, BANK)
    await caught_up()


async def test_an_answer_without_the_forms_token_is_not_taken(world: World) -> None:
    consent, other = world.ask(), world.ask()
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    shown = await world.browser.go(address)
    ((_, grant),), ((_, refuse),) = forms_of(shown, "/grant"), forms_of(shown, "/refuse")
    ((_, others),) = forms_of(
        await world.browser.go(world.my(f"/consents/{other.consent_id}")), "/grant"
    )
    async with browser(world.installation) as second:
        await world.signed_in(visitor=second)
        ((_, elsewhere),) = forms_of(await second.go(address), "/grant")
    forged: list[dict[str, Any]] = [{"token": ""}, {"token": "0" * 64}, refuse, others, elsewhere]
    for form in forged:
        assert (await world.browser.go(f"{address}/grant", **form)).status_code == 403
    for form in (*forged[:2], grant):
        assert (await world.browser.go(f"{address}/refuse", **form)).status_code == 403
    assert world.standing(consent).state == REQUESTED


async def test_nobody_answers_for_a_company_they_do_not_act_for(world: World) -> None:
    consent = world.ask()
    await world.signed_in(ZHAO_QIAN)
    own = world.url(f"/my/91000000DEM000012D/consents/{consent.consent_id}")
    for address in (world.my(f"/consents/{consent.consent_id}"), own):
        assert (await world.browser.go(address)).status_code == 404
        for answer in ("grant", "refuse"):
            assert (await world.browser.go(f"{address}/{answer}", token="x")).status_code == 404
    assert world.standing(consent).state == REQUESTED


async def test_what_cannot_be_granted_now_says_why_and_can_be_refused(world: World) -> None:
    consent = world.ask(operator_id=BANK_ID)
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    before = await world.browser.go(address)
    log = world.installation.log
    document = log.history(kind=OPERATOR, id=BANK_ID, after=0, limit=999)[-1].document
    suspended = OperatorState.OPERATOR_STATE_SUSPENDED
    world.installation.put(OPERATOR, BANK_ID, {**document, "state": suspended})
    await caught_up()
    shown = await world.browser.go(address)
    assert "目前不能行使运营资格" in shown.text
    assert not forms_of(shown, "/grant")
    assert (await world.send(before, "/grant")).status_code == 409
    assert world.standing(consent).state == REQUESTED
    assert "不利后果" in (await world.send(shown, "/refuse")).text
    world.installation.put(OPERATOR, BANK_ID, dict(document))
    await caught_up()


async def test_a_request_that_lapsed_cannot_be_answered_any_more(world: World) -> None:
    now = world.now
    consent = world.ask(
        consent_id=f"{now - DAY:010x}-{'0' * 24}", requested_at=now - DAY, answer_until=now - 1
    )
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    assert "已过期" in shown.text
    assert not forms_of(shown, "/grant")
    assert not forms_of(shown, "/refuse")
    assert consent.consent_id not in (await world.browser.go(world.my("/inbox"))).text
    assert consent.consent_id in (await world.browser.go(world.my("/consents?show=ended"))).text


async def test_a_request_the_operator_gave_up_cannot_be_granted(world: World) -> None:
    consent = world.ask()
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    world.move(consent, "revoke", Actor.OPERATOR)
    assert (await world.send(shown, "/grant")).status_code == 409
    assert world.standing(consent).receipt == ""


async def test_what_an_operator_says_is_never_markup(world: World) -> None:
    consent = world.ask(message='<script>alert(1)</script>"><img src=x onerror=y>')
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    assert "<script" not in shown.text
    assert "<img" not in shown.text
    assert "&lt;script&gt;" in shown.text
    await world.send(shown, "/refuse")
