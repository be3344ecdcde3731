"""A company's representative approves for an operator's client, about that company alone."""

import json
from typing import Any

import httpx
import pytest

from operators.authorization_details import TYPE
from tests.examples import rarely_on_postgresql
from tests.installation import OPERATOR_ID, PUBLIC_ITEM, company
from tests.interaction.world import World
from tests.parties import Party, claims_in
from tests.people import COMPANY

pytestmark = [pytest.mark.asyncio(loop_scope="package"), rarely_on_postgresql]
REPRESENTATIVE = "li-ming"
READ = "credit.records:read"


def detail(**more: Any) -> dict[str, Any]:
    """Return an authorisation detail about the representative's company."""
    return {
        "type": TYPE,
        "items": [PUBLIC_ITEM],
        "purposes": ["SUPPLIER_CHECK"],
        "subjects": [COMPANY],
        **more,
    }


async def page_of(
    world: World, party: Party, *details: dict[str, Any], subject: str = REPRESENTATIVE
) -> tuple[Any, httpx.Response]:
    """Return (the client that asks, the page after signing in)."""
    more = {"authorization_details": json.dumps(details)} if details else {}
    asking = await world.ask(READ, party, **more)
    return asking, await world.approval_page(asking, subject)


async def test_a_representative_approves_what_the_page_says(stored_world: World) -> None:
    world = stored_world
    until = world.installation.clock.now() + 86_400
    asked = detail(period={"until": until})
    asking, page = await page_of(world, await world.operator_party(), asked)
    for shown in (
        f"Invented firm {OPERATOR_ID}",
        COMPANY,
        "测试目录项",
        "供应商核验",
        "查询公共信用记录",
        "90 天",
    ):
        assert shown in page.text
    done = await world.browser.submit(page, decision="approve")
    claims = claims_in((await asking.token(asking.code_of(done)))["access_token"])
    assert claims["sub"].startswith("representative:")
    assert REPRESENTATIVE not in claims["sub"]
    assert claims["scope"] == READ
    assert claims["authorization_details"] == [asked]


async def test_the_same_person_is_the_same_representative_each_time(world: World) -> None:
    party, subjects = await world.operator_party(), set[str]()
    for _ in range(2):
        asking, page = await page_of(world, party, detail())
        done = await world.browser.submit(page, decision="approve")
        subjects.add(claims_in((await asking.token(asking.code_of(done)))["access_token"])["sub"])
    assert len(subjects) == 1


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ([detail(subjects=[company(1)])], "另一家企业"),
        ([detail(), detail(subjects=[company(1)])], "另一家企业"),
        ([detail(subjects=[COMPANY, company(1)])], "另一家企业"),
        ([{key: value for key, value in detail().items() if key != "subjects"}], "没有写明"),
        ([], "没有写明"),
    ],
    ids=["another", "one-more-detail", "one-more-subject", "any-subject", "no-details"],
)
async def test_nobody_approves_for_another_company_or_for_all(
    world: World, details: list[dict[str, Any]], said: str
) -> None:
    _, page = await page_of(world, await world.operator_party(), *details)
    assert page.status_code == 403
    assert said in page.text
    assert "approve_token" not in page.text


@pytest.mark.parametrize(
    ("subject", "said"), [("zhang-li", "没有经核实的企业"), ("zhao-qian", "另一家企业")]
)
async def test_neither_administrators_nor_strangers_approve_for_a_company(
    world: World, subject: str, said: str
) -> None:
    _, page = await page_of(world, await world.operator_party(), detail(), subject=subject)
    assert page.status_code == 403
    assert said in page.text


async def test_nobody_approves_for_a_suspended_operator(own_world: World) -> None:
    world = own_world
    asking, page = await page_of(world, await world.operator_party(), detail())
    world.installation.suspend()
    await world.caught_up()
    refused = await world.browser.submit(page, decision="approve")
    assert refused.status_code == 403
    page = await world.browser.go(asking.url)
    # The endpoint itself sends the browser back: the client may not act.
    assert "error=unauthorized_client" in page.headers["location"]
