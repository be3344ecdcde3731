"""Administrators approve for the client they administer through."""

import asyncio

import pytest

from creditgate.v1.administrator_service_pb2 import AdministratorRole
from operators.administrators import ADMINISTRATOR, BASIC_ACR, STRONG_ACR
from operators.model import CLIENT, SCOPE_GRANT, ScopeGrant
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition
from tests.examples import rarely_on_postgresql
from tests.interaction.world import PERSON, World
from tests.parties import claims_in
from tests.people import AUDIT, LICENSING, answer_of, browser

pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]
PRICING = AdministratorRole.ADMINISTRATOR_ROLE_PRICING


async def test_an_administrator_approves_within_their_roles(stored_world: World) -> None:
    world = stored_world
    asking = await world.ask("operators:create prices:create licences:issue")
    page = await world.browser.go(asking.url)
    assert "请先登录" in page.text
    page = await world.browser.sign_in(page, PERSON)
    assert "登记运营机构" in page.text
    assert "不在您的权限之内" in page.text
    done = await world.browser.submit(page, decision="approve")
    claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
    assert claims["sub"] == f"administrator:{PERSON}"
    assert claims["client_id"] == world.party.client_id
    assert claims["scope"].split() == ["licences:issue", "operators:create"]
    assert claims["acr"] == BASIC_ACR
    assert abs(claims["auth_time"] - world.installation.clock.now()) < 30


async def test_who_is_signed_in_sees_what_is_asked_at_once(world: World) -> None:
    await world.approval_page(await world.ask())
    asking = await world.ask("operators:read")
    page = await world.browser.go(asking.url)
    assert "是否同意" in page.text
    assert "查看运营机构" in page.text
    assert "登记运营机构" not in page.text


async def test_denying_takes_the_browser_back_with_the_error(world: World) -> None:
    asking = await world.ask()
    page = await world.approval_page(asking)
    answer = answer_of(await world.browser.submit(page, decision="deny"))
    assert (answer["error"], answer["state"]) == ("access_denied", asking.state)
    assert "code" not in answer


async def test_one_can_deny_without_signing_in(world: World) -> None:
    page = await world.browser.go((await world.ask()).url)
    answer = answer_of(await world.browser.submit(page, decision="deny"))
    assert answer["error"] == "access_denied"


@pytest.mark.parametrize("subject", ["wang-jun", "li-ming"])
async def test_who_is_no_administrator_cannot_approve(world: World, subject: str) -> None:
    page = await world.approval_page(await world.ask(), subject)
    assert page.status_code == 403
    assert "没有登记为管理人员" in page.text
    assert "approve_token" not in page.text


async def test_the_same_subject_of_another_provider_is_another_person(world: World) -> None:
    document = world.installation.log.history(kind="administrator", id=PERSON, after=0, limit=10)[
        -1
    ].document
    world.installation.put(
        "administrator", PERSON, {**document, "issuer": "https://elsewhere.test"}
    )
    await world.caught_up()
    page = await world.approval_page(await world.ask())
    assert page.status_code == 403


async def test_nothing_to_approve_is_left_outside_ones_roles(world: World) -> None:
    await world.administer("sun-yue", [AUDIT])
    page = await world.approval_page(await world.ask(), "sun-yue")
    assert page.status_code == 403
    assert "不在您的角色之内" in page.text


async def test_somebody_else_can_sign_in_instead(world: World) -> None:
    page = await world.approval_page(await world.ask(), "wang-jun")
    assert page.status_code == 403
    page = await world.browser.follow(page, "again=1")
    assert "您是谁" in page.text
    page = await world.browser.submit(page, account=PERSON)
    assert "是否同意" in page.text


async def test_roles_taken_between_page_and_decision_are_not_given(world: World) -> None:
    page = await world.approval_page(await world.ask())
    await world.administer(PERSON, [PRICING])
    refused = await world.browser.submit(page, decision="approve")
    assert refused.status_code == 403
    assert "没有采用您的决定" in refused.text


async def test_roles_added_between_page_and_decision_take_a_new_look(world: World) -> None:
    asking = await world.ask("operators:create prices:create")
    page = await world.approval_page(asking)
    await world.administer(PERSON, [LICENSING, PRICING])
    refused = await world.browser.submit(page, decision="approve")
    assert refused.status_code == 403
    page = await world.browser.follow(refused, "/interaction/")
    done = await world.browser.submit(page, decision="approve")
    claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
    assert claims["scope"].split() == ["operators:create", "prices:create"]


def _define(world: World, *scopes: str) -> str:
    """Have a managed scope of the console's stand for ``scopes``; return its name."""
    name = "operators.bundle:use"
    definition = ScopeDefinition(
        name=name, scopes=frozenset(scopes), title_zh="机构事务", title_en="Operators' affairs"
    )
    world.installation.keep(SCOPE_DEFINITION, name, definition)
    return name


async def test_a_scope_redefined_between_page_and_decision_takes_a_new_look(world: World) -> None:
    name = _define(world, "operators:create")
    granted = ScopeGrant(
        grant_id="G-BUNDLE",
        grantee=world.party.client_id,
        scope=name,
        valid_from=world.installation.clock.now() - 1,
    )
    world.installation.keep(SCOPE_GRANT, granted.grant_id, granted)
    await world.caught_up()
    asking = await world.ask(name)
    page = await world.approval_page(asking)
    for shown in ("机构事务", "登记运营机构", "operators:create"):
        assert shown in page.text
    assert "operators:read" not in page.text
    _define(world, "operators:create", "operators:read")
    await world.caught_up()
    refused = await world.browser.submit(page, decision="approve")
    assert refused.status_code == 403
    page = await world.browser.follow(refused, "/interaction/")
    assert "operators:read" in page.text
    done = await world.browser.submit(page, decision="approve")
    claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
    assert (claims["scope"], claims["opens"]) == (name, "operators:create operators:read")


async def test_a_removed_administrator_can_neither_approve_nor_redeem(world: World) -> None:
    asking = await world.ask()
    page = await world.approval_page(asking)
    done = await world.browser.submit(page, decision="approve")
    again = await world.browser.go((await world.ask()).url)
    await world.administer(removed_at=world.installation.clock.now())
    assert (await world.browser.submit(again, decision="approve")).status_code == 403
    assert (await asking.token(asking.code_of(done)))["error"] == "invalid_grant"


async def test_a_person_registered_anew_approves_as_who_they_are_now(world: World) -> None:
    removed = await world.administer(removed_at=world.installation.clock.now())
    again = removed.model_copy(update={"administrator_id": "zhang-again", "removed_at": None})
    world.installation.keep(ADMINISTRATOR, again.administrator_id, again)
    await world.caught_up()
    asking = await world.ask()
    done = await world.browser.submit(await world.approval_page(asking), decision="approve")
    claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
    assert claims["sub"] == "administrator:zhang-again"


async def test_a_removed_client_is_shown_to_nobody(own_world: World) -> None:
    world = own_world
    asking = await world.ask()
    page = await world.approval_page(asking)
    removed = world.party.record.model_copy(update={"removed_at": world.installation.clock.now()})
    world.installation.keep(CLIENT, removed.client_id, removed)
    await world.caught_up()
    assert (await world.browser.submit(page, decision="approve")).status_code == 404


async def test_a_second_factor_is_asked_for_where_the_request_says(world: World) -> None:
    await world.approval_page(await world.ask())
    asking = await world.ask(acr_values=STRONG_ACR)
    page = await world.browser.go(asking.url)
    assert "登录方式不够强" in page.text
    page = await world.browser.sign_in(page, PERSON)
    done = await world.browser.submit(page, decision="approve")
    claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
    assert claims["acr"] == STRONG_ACR


async def test_who_will_not_use_a_second_factor_is_told_of_as_such(world: World) -> None:
    await world.approval_page(await world.ask())
    page = await world.browser.go((await world.ask(acr_values=STRONG_ACR)).url)
    answer = answer_of(await world.browser.submit(page, decision="deny"))
    assert answer["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize("name", ["max_age", "prompt"])
async def test_a_fresh_sign_in_is_asked_for_where_the_request_says(world: World, name: str) -> None:
    await world.approval_page(await world.ask())
    await asyncio.sleep(1.1)
    asking = await (world.ask(max_age="0") if name == "max_age" else world.ask(prompt="login"))
    page = await world.browser.go(asking.url)
    assert "刚刚登录过" in page.text
    page = await world.browser.follow(page, "/sign-in")
    assert "您是谁" in page.text
    page = await world.browser.submit(page, account=PERSON)
    assert "是否同意" in page.text


async def test_with_prompt_none_nobody_is_asked_anything(world: World) -> None:
    answer = answer_of(await world.browser.go((await world.ask(prompt="none")).url))
    assert answer["error"] == "login_required"
    await world.approval_page(await world.ask())
    answer = answer_of(await world.browser.go((await world.ask(prompt="none")).url))
    assert answer["error"] == "consent_required"
    asking = await world.ask(prompt="none", acr_values=STRONG_ACR)
    answer = answer_of(await world.browser.go(asking.url))
    assert answer["error"] == "unmet_authentication_requirements"


async def test_refreshing_stays_within_the_roles_of_the_moment(world: World) -> None:
    asking = await world.ask("operators:create operators:history")
    page = await world.approval_page(asking)
    done = await world.browser.submit(page, decision="approve")
    token = await asking.token(asking.code_of(done))
    await world.administer(roles=[AUDIT])
    refreshed = (await asking.refreshed(token["refresh_token"])).json()
    assert refreshed["scope"] == "operators:history"
    await world.administer(removed_at=world.installation.clock.now())
    assert (await asking.refreshed(token["refresh_token"])).json()["error"] == "invalid_grant"


async def test_two_people_in_two_browsers_do_not_mix(world: World) -> None:
    await world.administer("wang-jun", [LICENSING])
    async with browser(world.installation) as other:
        first, second = await world.ask(), await world.ask()
        mine = await world.approval_page(first)
        theirs = await world.approval_page(second, "wang-jun", other)
        for asking, page, visitor, subject in (
            (second, theirs, other, "wang-jun"),
            (first, mine, world.browser, PERSON),
        ):
            done = await visitor.submit(page, decision="approve")
            claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
            assert claims["sub"] == f"administrator:{subject}"
