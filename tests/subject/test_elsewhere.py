"""A consent that another region keeps is seen, downloaded and revoked here like any other."""

import pytest

from consent.changing import Act
from consent.model import Actor
from consent.states import REVOKED
from gateway.federation.home.consents import ENDED
from gateway.subject.standing import PAGE
from tests.people import COMPANY, browser
from tests.subject.elsewhere import REGION, shown
from tests.subject.world import TAX, World, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_is_opened_from_the_list_and_from_its_uses_and_says_who_keeps_it(
    world: World,
) -> None:
    consent = shown(world)
    await world.use(consent, [TAX])
    await world.signed_in()
    listed = await world.browser.go(world.my("/consents"))
    page = await world.browser.follow(listed, f"/consents/{consent.consent_id}")
    assert page.status_code == 200
    assert "由另一地区的网关保管（one.example）" in text_of(page)
    assert "示例征信有限公司（虚构）" in text_of(page)
    assert f'href="{REGION}/my/consents/' in page.text
    uses = await world.browser.follow(page, "/accesses?consent=")
    assert (await world.browser.follow(uses, consent.consent_id)).status_code == 200


async def test_its_receipt_is_that_of_its_region_and_this_gateway_signs_none(
    world: World,
) -> None:
    consent = shown(world)
    await world.signed_in()
    page = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    receipt = await world.browser.follow(page, "/receipt")
    assert receipt.text == consent.receipt
    assert "receipt-now" not in page.text
    own = await world.browser.go(world.my(f"/consents/{consent.consent_id}/receipt-now"))
    assert own.status_code == 404


async def test_two_clicks_from_the_list_revoke_it_for_this_region(world: World) -> None:
    consent = shown(world)
    await world.use(consent, [TAX])
    await world.signed_in()
    listed = await world.browser.go(world.my("/consents"))
    asked = await world.browser.follow(listed, f"{consent.consent_id}/revoke")
    done = await world.send(asked, "/revoke")
    # What is said beforehand is what will be.
    assert "只及于本网关提供的部分" in text_of(asked)
    assert "由它通知机构" in text_of(asked)
    assert "并向网关报告" not in text_of(asked)
    assert done.status_code == 200
    assert "授权已撤回" in done.text
    assert world.standing(consent).state == REVOKED
    # What is held there, by which that region passes the word on: nobody is called late for it.
    assert "由该地区转告" in text_of(done)


async def test_the_page_after_one_that_ends_with_such_a_consent_is_another(world: World) -> None:
    made = [shown(world).consent_id for _ in range(PAGE + 5)]
    await world.signed_in()
    first = await world.browser.go(world.my("/consents"))
    second = await world.browser.follow(first, "before=")
    on_first, on_second = (
        {each for each in made if f'/consents/{each}"' in page.text} for page in (first, second)
    )
    # Those of other tests are listed among them.
    assert len(on_first) > PAGE // 2
    assert on_first | on_second == set(made)
    assert not on_first & on_second


async def test_signing_in_leads_to_its_page(world: World) -> None:
    # Not every id has one of these.
    consent = next(each for each in iter(lambda: shown(world), None) if "_" in each.consent_id)
    address = world.my(f"/consents/{consent.consent_id}")
    async with browser(world.installation) as visitor:
        page = await visitor.sign_in(await visitor.go(address), "li-ming")
    assert page.status_code == 200
    assert page.url.path == f"/my/{COMPANY}/consents/{consent.consent_id}"


async def test_notices_of_it_are_in_the_readers_language(world: World) -> None:
    consent = shown(world)
    act = Act(Actor.GATEWAY, "", ENDED, world.now)
    world.consents.follow(consent.consent_id, REVOKED, act)
    await world.signed_in()
    notices = text_of(await world.browser.go(world.my("/notices")))
    assert "另一地区出示了贵单位在那里给出的授权凭证" in notices
    assert "授权已在保管它的地区终止" in notices
    assert "another region" not in notices
    assert "region that keeps it" not in notices
