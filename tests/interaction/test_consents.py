"""Consents by authorisation code: what the page shows is what is agreed to, once, by who may."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import text

from consent.changing import Act
from consent.model import Actor
from consent.states import GRANTED, REFUSED, REQUESTED, REVOKED
from creditgate.v1.consent_service_pb2 import RevokeConsentRequest
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.catalogue.model import CATALOGUE_ITEM
from tests.examples import rarely_on_postgresql
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_ID,
    company,
    eventually,
    item,
)
from tests.interaction.consent_flow import (
    answer_to,
    asked,
    asking,
    channel_of,
    consented,
    consents,
    error_of,
    kept,
    new_operator,
    publish_tax,
)
from tests.interaction.world import World
from tests.parties import claims_in
from tests.people import COMPANY, fields_of

pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]


async def test_a_consent_given_by_code_opens_what_the_page_said(stored_world: World) -> None:
    world = stored_world
    await publish_tax(world)
    party = await world.operator_party()
    asking_, page = await asked(world, party, asking(world, {"access_mode": "ONCE"}))
    for shown in (
        f"Invented firm {OPERATOR_ID}",
        "测试目录项",
        "供应商核验",
        "只能查询一次",
        "30 天",
        "About your loan (invented).",
        "没有任何不利后果",
    ):
        assert shown in page.text
    assert not kept(world, party), "nothing is asked for before the answer"
    done = await world.browser.submit(page, decision="approve")
    token = (await asking_.token(asking_.code_of(done)))["access_token"]
    (consent,) = kept(world, party)
    assert (consent.state, consent.way, consent.delegation) == (GRANTED, "code", "")
    assert consent.client_id == party.client_id
    assert consent.signer == claims_in(token)["sub"]
    assert consent.receipt.count(".") == 2
    (detail,) = claims_in(token)["authorization_details"]
    assert detail["consent"] == consent.name
    assert "consent_terms" not in detail
    async with channel_of(world, party) as channel:
        assert await answer_to(channel, token) == ("CONSENT_REQUIRED", [])
        assert await answer_to(channel, token, consent.name) == ("", ["records/tax-1"])
        assert (await answer_to(channel, token, consent.name))[0] == "CONSENT_EXHAUSTED"
        other = await answer_to(channel, token, consent.name, company(1))
        assert other[0] == "SUBJECT_NOT_ALLOWED"


async def test_revoking_the_consent_ends_its_tokens_and_their_grant(stored_world: World) -> None:
    world = stored_world
    party = await world.operator_party()
    asking_, token = await consented(world, party)
    (consent,) = kept(world, party)
    async with world.gateway.channel() as channel:
        await ConsentServiceStub(channel).RevokeConsent(RevokeConsentRequest(name=consent.name))
    assert kept(world, party)[0].state == REVOKED
    assert (await asking_.refreshed(token["refresh_token"])).json()["error"] == "invalid_grant"
    async with channel_of(world, party) as channel:

        async def stopped() -> bool:
            return (await answer_to(channel, token["access_token"], consent.name))[0] == (
                "TOKEN_REVOKED"
            )

        await eventually(stopped)
    for ended in (token["access_token"], token["refresh_token"]):
        told = await asking_.post("introspect", {"token": ended})
        assert told.json() == {"active": False}


async def test_what_is_approved_twice_is_given_once(world: World) -> None:
    """A form that is sent again, at once or later, answers nothing more."""
    party = await new_operator(world)
    _, page = await asked(world, party)
    form = fields_of(page.text)

    async def press() -> httpx.Response:
        return await world.browser.http.post(str(page.url), data={**form, "decision": "approve"})

    pressed = await asyncio.gather(*(press() for _ in range(4)))
    assert [response.status_code for response in pressed].count(303) == 1
    assert (await press()).status_code == 404
    (consent,) = kept(world, party)
    assert consent.state == GRANTED
    history = consents(world).changes(consent_id=consent.consent_id, limit=9)
    assert [change.state for change in history] == [REQUESTED, GRANTED]
    assert [change.actor for change in history] == [Actor.OPERATOR, Actor.SUBJECT]


async def test_a_catalogue_that_changed_meanwhile_takes_the_offer_back(own_world: World) -> None:
    world = own_world
    party = await world.operator_party()
    asking_, page = await asked(world, party)
    world.installation.keep(
        CATALOGUE_ITEM, CONSENT_ITEM, item(CONSENT_ITEM, Openness.OPENNESS_PUBLIC)
    )
    await world.caught_up()
    assert (await world.browser.submit(page, decision="approve")).status_code == 403
    page = await world.browser.go(asking_.url)
    assert page.status_code == 403
    assert "目录或请求方的许可已有变化" in page.text
    assert not kept(world, party)


@contextmanager
def away(world: World, table: str) -> Generator[None]:
    """Have a table of the authority store be gone for a while."""
    engine = world.installation.engines.authority
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO gone"))
    yield
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE gone RENAME TO {table}"))


async def test_an_approval_that_breaks_off_before_the_code_is_taken_up_again(world: World) -> None:
    """From another look at the same request, later and in another language: it is still one
    consent."""
    party = await new_operator(world)
    asking_, page = await asked(world, party)
    with away(world, "oauth_code"):
        broken = await world.browser.submit(page, decision="approve")
        assert broken.status_code == 503
        (left,) = kept(world, party)
        assert left.state == REQUESTED, "closed: nothing is granted that has no code"
    await asyncio.sleep(1.1)
    page = await world.browser.follow(await world.browser.go(asking_.url), "lang=en")
    asking_.code_of(await world.browser.submit(page, decision="approve"))
    (consent,) = kept(world, party)
    assert (consent.consent_id, consent.state) == (left.consent_id, GRANTED)


async def test_an_approval_that_breaks_off_after_the_code_gives_neither(
    stored_world: World,
) -> None:
    """The subject finds the request in its inbox; the code is nobody's."""
    world = stored_world
    party = await world.operator_party()
    _, page = await asked(world, party)
    keys = world.installation.home.keys
    gone = keys.with_name("keys-gone")
    # One by one: the gateway may write into the folder meanwhile.
    gone.mkdir()
    for each in [*keys.iterdir()]:
        each.rename(gone / each.name)
    broken = await world.browser.submit(page, decision="approve")
    for each in [*gone.iterdir()]:
        each.replace(keys / each.name)
    assert broken.status_code == 503
    assert "location" not in broken.headers
    (left,) = kept(world, party)
    assert left.state == REQUESTED
    inbox = await world.browser.go(f"{world.gateway.running.issuer}/my/{COMPANY}/inbox")
    assert left.consent_id in inbox.text
    again = await world.browser.submit(page, decision="approve")
    assert again.status_code == 404
    assert kept(world, party)[0].state == REQUESTED


async def test_what_the_inbox_answered_meanwhile_gives_no_code(world: World) -> None:
    party = await new_operator(world)
    _, page = await asked(world, party)
    with away(world, "oauth_code"):
        await world.browser.submit(page, decision="approve")
    (left,) = kept(world, party)
    now = world.installation.clock.now()
    consents(world).move(left.consent_id, "refuse", Act(Actor.SUBJECT, "somebody", "", now))
    over = await world.browser.submit(page, decision="approve")
    assert over.status_code == 404
    assert kept(world, party)[0].state == REFUSED
    # Nothing was decided here: who asked is still told.
    assert error_of(await world.browser.submit(page, decision="deny")) == "access_denied"
