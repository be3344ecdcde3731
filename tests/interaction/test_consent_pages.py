"""The page of a consent: who may give it, for the words shown, and nothing that was slipped in."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from consent.delegation import Power
from consent.model import Actor
from consent.states import GRANTED, REFUSED, REQUESTED
from gateway.consents.desk import MOST_UNANSWERED
from gateway.signin.sessions import IDLE_SECONDS
from gateway.subject.acting import FRESH_SIGN_IN_SECONDS
from sdk.refusals import explain
from tests.installation import (
    CONSENT_ITEM,
    PUBLIC_ITEM,
    company,
)
from tests.interaction.consent_flow import (
    DAY,
    READ,
    asked,
    asking,
    consents,
    deputy,
    dismiss,
    error_of,
    kept,
    new_operator,
    principal_of,
    request_by_service,
)
from tests.interaction.world import World
from tests.parties import Party, claims_in
from tests.people import age_sessions, browser, fields_of

DEPUTY = "wu-ping"
NOBODY = "sun-yue"
OTHERS = "zhao-qian"


pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.fixture(autouse=True)
def no_deputy_is_left(site: World) -> Iterator[None]:
    """End what a test made somebody a deputy by."""
    yield
    dismiss(site, DEPUTY)


@pytest_asyncio.fixture(loop_scope="package")
async def party(world: World) -> Party:
    """A client of an operator that asked nobody for anything yet."""
    return await new_operator(world)


def age(world: World, *, idle: int = 0, signed_in: int = 0) -> None:
    """Make all sessions older."""
    age_sessions(world.installation, idle=idle, signed_in=signed_in)


async def test_the_same_in_english_says_who_may_see_what(world: World, party: Party) -> None:
    asking_ = await world.ask(READ, party, authorization_details=asking(world))
    page = await world.browser.follow(await world.browser.go(asking_.url), "lang=en")
    page = await world.browser.sign_in(page, "li-ming")
    assert "Do you consent?" in page.text
    assert "deciding" not in page.text
    assert "checking a business partner" in page.text
    done = await world.browser.submit(page, decision="approve")
    asking_.code_of(done)
    (consent,) = kept(world, party)
    assert consent.notice is not None
    assert consent.notice.language == "en"


async def test_a_refusal_leaves_what_one_from_the_inbox_leaves(world: World, party: Party) -> None:
    _, page = await asked(world, party)
    done = await world.browser.submit(page, decision="deny")
    assert error_of(done) == "access_denied"
    (consent,) = kept(world, party)
    assert (consent.state, consent.way, consent.receipt) == (REFUSED, "code", "")
    assert (consent.signer, consent.delegation) == (principal_of(world, "li-ming"), "")
    history = consents(world).changes(consent_id=consent.consent_id, limit=9)
    assert [change.state for change in history] == [REQUESTED, REFUSED]
    assert [change.actor for change in history] == [Actor.OPERATOR, Actor.SUBJECT]
    # A form that is sent again answers nothing more.
    assert (await world.browser.submit(page, decision="deny")).status_code == 404
    assert len(kept(world, party)) == 1


async def test_a_deputy_refuses_in_its_own_name(world: World, party: Party) -> None:
    delegation = deputy(world, DEPUTY)
    _, page = await asked(world, party, subject=DEPUTY)
    await world.browser.submit(page, decision="deny")
    (consent,) = kept(world, party)
    assert (consent.state, consent.delegation) == (REFUSED, delegation.delegation_id)
    assert consent.signer == principal_of(world, DEPUTY)


@pytest.mark.parametrize("subject", ["", OTHERS, NOBODY])
async def test_who_may_not_answer_goes_back_and_leaves_nothing(
    world: World, party: Party, subject: str
) -> None:
    """Nor does who is not signed in: nobody knows for whom they refuse."""
    asking_ = await world.ask(READ, party, authorization_details=asking(world))
    page = await world.browser.go(asking_.url)
    if subject:
        page = await world.browser.sign_in(page, subject)
    assert error_of(await world.browser.submit(page, decision="deny")) == "access_denied"
    assert not kept(world, party)


async def test_whatever_fails_people_refuse(world: World, party: Party) -> None:
    _, page = await asked(world, party)
    with world.installation.engines.records.begin() as connection:
        connection.execute(text("ALTER TABLE consents RENAME TO gone"))
    done = await world.browser.submit(page, decision="deny")
    with world.installation.engines.records.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO consents"))
    assert error_of(done) == "access_denied"
    assert not kept(world, party)


async def test_a_consent_takes_a_sign_in_that_is_fresh_and_its_refusal_none(
    world: World, party: Party
) -> None:
    asking_, page = await asked(world, party)
    _, other = await asked(world, party)
    age(world, signed_in=FRESH_SIGN_IN_SECONDS + 10)
    stale = await world.browser.submit(page, decision="approve")
    assert stale.status_code == 200
    assert "请再登录一次" in stale.text
    assert not kept(world, party)
    assert error_of(await world.browser.submit(other, decision="deny")) == "access_denied"
    assert [consent.state for consent in kept(world, party)] == [REFUSED]
    back = await world.browser.sign_in(stale, "li-ming")
    asked_of_provider = next(
        each.url for each in world.browser.seen[::-1] if "max_age" in each.url.params
    )
    assert asked_of_provider.params["max_age"] == str(FRESH_SIGN_IN_SECONDS)
    asking_.code_of(await world.browser.submit(back, decision="approve"))
    assert {consent.state for consent in kept(world, party)} == {REFUSED, GRANTED}


async def test_who_stays_too_long_on_the_page_signs_in_and_is_back_there(
    world: World, party: Party
) -> None:
    asking_, page = await asked(world, party)
    assert "15 分钟没有操作会自动退出" in page.text
    age(world, idle=IDLE_SECONDS - 60)
    (link,) = re.findall(r'<a href="([^"]+)">保持登录</a>', page.text)
    page = await world.browser.go(f"{world.gateway.running.issuer}{unescape(link)}")
    age(world, idle=IDLE_SECONDS - 60)
    page = await world.browser.go(str(page.url))
    assert "approve_token" in page.text
    age(world, idle=IDLE_SECONDS)
    over = await world.browser.submit(page, decision="approve")
    assert (over.status_code, over.url) == (200, page.url)
    assert "请先登录" in over.text
    assert not kept(world, party)
    back = await world.browser.sign_in(over, "li-ming")
    assert back.url == page.url
    asking_.code_of(await world.browser.submit(back, decision="approve"))


async def test_the_operators_words_carry_the_language_the_page_was_shown_in(
    world: World, party: Party
) -> None:
    asking_, page = await asked(world, party)
    assert '<blockquote lang="zh-CN">' in page.text
    page = await world.browser.follow(page, "lang=en")
    assert '<blockquote lang="en">' in page.text
    asking_.code_of(await world.browser.submit(page, decision="approve"))
    (consent,) = kept(world, party)
    assert consent.language == "en"


@pytest.mark.parametrize(
    ("subject", "said"), [(OTHERS, "另一家企业"), (NOBODY, "没有经核实的企业")]
)
async def test_nobody_consents_for_a_company_they_do_not_act_for(
    world: World, party: Party, subject: str, said: str
) -> None:
    _, page = await asked(world, party, subject=subject)
    assert page.status_code == 403
    assert said in page.text
    assert "approve_token" not in page.text
    assert not kept(world, party)


async def test_a_token_for_a_consent_reads_records_and_does_nothing_else(
    world: World, party: Party
) -> None:
    asking_, page = await asked(world, party, scope=f"{READ} usage:read consents:revoke")
    done = await world.browser.submit(page, decision="approve")
    token = await asking_.token(asking_.code_of(done))
    assert token["scope"] == READ


async def test_a_deputy_with_the_power_to_answer_consents_within_its_limits(
    world: World, party: Party
) -> None:
    delegation = deputy(
        world, DEPUTY, items={CONSENT_ITEM}, operators={party.record.operator_id, "beta"}
    )
    asking_, page = await asked(world, party, subject=DEPUTY)
    assert "受托人" in page.text
    done = await world.browser.submit(page, decision="approve")
    token = (await asking_.token(asking_.code_of(done)))["access_token"]
    (consent,) = kept(world, party)
    assert consent.delegation == delegation.delegation_id
    assert consent.signer == principal_of(world, DEPUTY) == claims_in(token)["sub"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"powers": (Power.SEE, Power.REVOKE)}, "超出了委托的范围"),
        ({"items": {"other.item"}}, "超出了委托的范围"),
        ({"operators": {"beta"}}, "超出了委托的范围"),
        ({"purposes": {1}}, "超出了委托的范围"),
        ({"subject": company(1)}, "没有经核实的企业"),
    ],
    ids=["powers", "items", "operators", "purposes", "company"],
)
async def test_a_deputy_does_not_consent_beyond_its_delegation(
    world: World, party: Party, how: dict[str, Any], said: str
) -> None:
    deputy(world, DEPUTY, **how)
    _, page = await asked(world, party, subject=DEPUTY)
    assert page.status_code == 403
    assert said in page.text
    assert not kept(world, party)


async def test_a_deputy_whose_delegation_was_withdrawn_meanwhile_consents_to_nothing(
    world: World,
    party: Party,
) -> None:
    deputy(world, DEPUTY)
    _, page = await asked(world, party, subject=DEPUTY)
    assert page.status_code == 200
    dismiss(world, DEPUTY)
    refused = await world.browser.submit(page, decision="approve")
    assert refused.status_code == 403
    assert not kept(world, party)


async def test_two_looks_at_one_request_make_one_consent(world: World, party: Party) -> None:
    asking_, first = await asked(world, party)
    second = await world.browser.go(asking_.url)
    done = await world.browser.submit(first, decision="approve")
    asking_.code_of(done)
    assert (await world.browser.submit(second, decision="approve")).status_code == 404
    assert len(kept(world, party)) == 1


async def test_what_is_added_on_the_way_changes_nothing(world: World, party: Party) -> None:
    """The request is the one that was pushed, whatever the browser and the form carry."""
    asking_ = await world.ask(READ, party, authorization_details=asking(world))
    wider = asking(world, {"data_life": 365 * DAY}, items=[CONSENT_ITEM, PUBLIC_ITEM])
    query = httpx.QueryParams(authorization_details=wider, scope="usage:read")
    page = await world.approval_page(replace(asking_, url=f"{asking_.url}&{query}"), "li-ming")
    assert "30 天" in page.text
    form = {**fields_of(page.text), "decision": "approve", "authorization_details": wider}
    done = await world.browser.go(
        str(page.url), **form, consent="consents/mine", scope="usage:read"
    )
    token = await asking_.token(asking_.code_of(done))
    (consent,) = kept(world, party)
    assert consent.terms.data_life_seconds == 30 * DAY
    assert consent.terms.fields_by_item.keys() == {CONSENT_ITEM}
    assert token["authorization_details"][0]["consent"] == consent.name


@pytest.mark.parametrize("taken", ["language", "request", "person"])
async def test_a_form_counts_for_the_words_the_request_and_the_person_it_was_shown_to(
    world: World, party: Party, taken: str
) -> None:
    _, page = await asked(world, party)
    target = page
    if taken == "request":
        _, target = await asked(world, party, asking(world, {"data_life": 365 * DAY}))
    form = {**fields_of(page.text), "decision": "approve"}
    url = str(target.url)
    if taken == "language":
        url = url.replace("lang=zh", "lang=en")
    if taken == "person":
        deputy(world, DEPUTY)
        async with browser(world.installation) as visitor:
            _, theirs = await asked(world, party, subject=DEPUTY, visitor=visitor)
            refused = await visitor.go(str(theirs.url), **form)
    else:
        refused = await world.browser.go(url, **form)
    assert refused.status_code == 403
    assert not kept(world, party)


async def test_a_client_asks_for_no_consent_to_what_needs_none_or_is_not_licensed(
    world: World,
    party: Party,
) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"items": [CONSENT_ITEM, PUBLIC_ITEM]}, "/0/items/1"),
        ({"items": ["no.such-item"]}, "/0/items/0"),
        ({"purposes": ["RESEARCH"]}, "/0/purposes/0"),
        ({"terms": {"fields": {CONSENT_ITEM: ["no_such_field"]}}}, "/0/consent_terms/fields"),
        ({"terms": {"answer_form": "GRADE"}}, "/0/items/0"),
    ]
    for changed, pointer in refused:
        with pytest.raises(AssertionError, match=f"At {pointer}: "):
            await world.ask(READ, party, authorization_details=asking(world, **changed))


async def test_a_full_inbox_keeps_nobody_who_is_there_from_consenting(world: World) -> None:
    """Nor does what was asked by code fill the inbox."""
    party = await world.operator_party()
    for _ in range(MOST_UNANSWERED + 1):
        _, page = await asked(world, party)
        await world.browser.submit(page, decision="deny")
    for _ in range(MOST_UNANSWERED):
        await request_by_service(world)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await request_by_service(world)
    assert explain(refused.value).reason == "RATE_EXCEEDED"
    asking_, page = await asked(world, party)
    asking_.code_of(await world.browser.submit(page, decision="approve"))
    ways = [(consent.way, consent.state) for consent in kept(world, party)]
    assert ways.count(("inbox", REQUESTED)) == MOST_UNANSWERED
    assert ways.count(("code", GRANTED)) == 1
