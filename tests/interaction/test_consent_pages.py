"""The page of a consent: who may give it, for the words shown, and nothing that was slipped in."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from consent.delegation import Power
from gateway.consents.desk import MOST_UNANSWERED
from tests.installation import (
    CONSENT_ITEM,
    PUBLIC_ITEM,
    Installation,
    company,
)
from tests.interaction.consent_flow import (
    DAY,
    READ,
    asked,
    asking,
    deputy,
    dismiss,
    error_of,
    kept,
    new_operator,
    principal_of,
    request_by_service,
)
from tests.interaction.world import World, running_world
from tests.parties import Party, claims_in
from tests.people import browser, fields_of
from tests.stores import SqliteStores

DEPUTY = "wu-ping"
NOBODY = "sun-yue"
OTHERS = "zhao-qian"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(sqlite_stores: SqliteStores) -> AsyncIterator[World]:
    """One gateway for all tests here: each is about an operator of its own."""
    with sqlite_stores.database() as store:
        installation = Installation(*store)
        installation.furnish()
        async with running_world(installation) as world:
            yield world
        installation.close()


@pytest_asyncio.fixture(loop_scope="module")
async def world(site: World) -> AsyncIterator[World]:
    """The gateway, with a new browser."""
    async with browser(site.installation) as visitor:
        yield replace(site, browser=visitor)
    dismiss(site, DEPUTY)


@pytest_asyncio.fixture(loop_scope="module")
async def party(world: World) -> Party:
    """A client of an operator that asked nobody for anything yet."""
    return await new_operator(world)


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


async def test_a_refusal_leaves_nothing_behind(world: World, party: Party) -> None:
    _, page = await asked(world, party)
    done = await world.browser.submit(page, decision="deny")
    assert error_of(done) == "access_denied"
    assert not kept(world, party)


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


async def test_a_subject_with_enough_to_answer_is_asked_no_more(world: World) -> None:
    party = await world.operator_party()
    _, page = await asked(world, party)
    for _ in range(MOST_UNANSWERED):
        await request_by_service(world)
    refused = await world.browser.submit(page, decision="approve")
    assert refused.status_code == 429
    assert "没有答复" in refused.text
    assert {consent.way for consent in kept(world, party)} == {"inbox"}
