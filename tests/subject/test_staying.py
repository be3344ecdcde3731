"""How long one stays signed in: told, prolonged by a click, and no dead end when it is over."""

import re

import pytest

from consent.states import GRANTED, REFUSED, REQUESTED
from gateway.pages.moments import moment
from gateway.signin.sessions import IDLE_SECONDS, LIFE_SECONDS
from gateway.subject.acting import FRESH_SIGN_IN_SECONDS
from gateway.subject.app import COMPANY_PAGES
from tests.people import COMPANY
from tests.subject.test_safety import named
from tests.subject.world import World, forms_of, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROLONG = "保持登录"
ELSEWHERE = ' target="_blank" rel="noopener"'


def near(seconds: int) -> set[str]:
    """Return how a page tells an instant, give or take what the test took."""
    return {moment(seconds - late, "zh") for late in range(60)}


async def test_pages_with_a_form_tell_how_long_one_stays_and_one_click_prolongs_it(
    world: World,
) -> None:
    consent = world.ask()
    await world.signed_in()
    world.age(idle=IDLE_SECONDS - 60)
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}?lang=en"))
    assert "After 15 minutes without a click you are signed out" in shown.text
    world.age(idle=IDLE_SECONDS - 60)
    (link,) = re.findall(r'<a href="([^"]+)">Stay signed in</a>', shown.text)
    again = await world.browser.go(world.url(link))
    assert again.url == shown.url
    world.age(idle=IDLE_SECONDS - 60)
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    assert forms_of(shown, "/grant")
    assert any(at in shown.text for at in near(world.now + IDLE_SECONDS))


@pytest.mark.parametrize("path", ["/delegations/new", "/keys"])
async def test_prolonging_loses_nothing_that_is_being_written(world: World, path: str) -> None:
    await world.signed_in()
    shown = await world.browser.go(world.my(path))
    assert re.search(rf'<a href="[^"]+"{ELSEWHERE}>{PROLONG}（新窗口）</a>', shown.text)
    # What is sent back to be corrected is not asked for again either.
    action = "/keys" if path == "/keys" else forms_of(shown, "")[1][0].rpartition("/")[2]
    corrected = await world.send(shown, action, chosen={"jwk": "x"})
    assert corrected.status_code == 400
    assert ELSEWHERE in corrected.text


async def test_what_nothing_prolongs_says_so(world: World) -> None:
    await world.signed_in()
    world.age(began=LIFE_SECONDS - 120)
    shown = await world.browser.go(world.my("/inbox"))
    assert PROLONG not in shown.text
    assert "届时须重新登录" in shown.text
    assert any(at in shown.text for at in near(world.now + 120))


async def test_a_form_sent_after_the_session_leads_to_signing_in_and_back_to_its_page(
    world: World,
) -> None:
    consent = world.ask()
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    shown = await world.browser.go(address)
    world.age(idle=IDLE_SECONDS)
    asked = await world.send(shown, "/grant")
    assert asked.status_code == 200
    assert "刚才的操作没有办理" in asked.text
    assert world.standing(consent).state == REQUESTED
    back = await world.browser.sign_in(asked, "li-ming")
    assert str(back.url) == address
    assert "您已同意授权" in (await world.send(back, "/grant")).text
    assert world.standing(consent).state == GRANTED


async def test_every_form_has_a_page_to_come_back_to(world: World) -> None:
    consent = world.given()
    await world.signed_in()
    changes = [path for method, path, _ in COMPANY_PAGES if method == "POST"]
    for path in changes:
        world.age(idle=IDLE_SECONDS)
        asked = await world.browser.go(world.my(named(path, consent.consent_id)), token="x")
        assert asked.status_code == 200, path
        assert asked.url.path.startswith(f"/my/{COMPANY}/"), path
        back = await world.browser.sign_in(asked, "li-ming")
        assert back.url.path == asked.url.path
        assert back.status_code == 200, path
    for path, page in (
        ("/my/invitations", "/my/invitations"),
        (f"/my/delegations/{'0' * 10}-{'0' * 24}/give-up", "/my/companies"),
    ):
        world.age(idle=IDLE_SECONDS)
        asked = await world.browser.go(world.url(path), token="x")
        assert (asked.status_code, asked.url.path) == (200, page)


@pytest.mark.parametrize("odd", ["..%5c..", "%0d%0aset-cookie:x", "{0}", "{uscc.__class__}"])
async def test_no_form_sent_by_nobody_leads_away_from_these_pages(world: World, odd: str) -> None:
    asked = await world.browser.go(world.url(f"/my/{odd}/keys"), token="x")
    assert asked.url.path == "/my"
    assert "登录" in text_of(asked)


async def test_granting_takes_a_fresh_sign_in_and_refusing_none(world: World) -> None:
    consent, other = world.ask(), world.ask()
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    shown = await world.browser.go(address)
    world.age(signed_in=FRESH_SIGN_IN_SECONDS + 10)
    stale = await world.send(shown, "/grant")
    assert str(stale.url) == address
    assert world.standing(consent).state == REQUESTED
    assert "登录已超过一小时" in stale.text
    assert not forms_of(stale, "/grant")
    # The provider is told how fresh it must be.
    back = await world.browser.sign_in(stale, "li-ming")
    asked = next(each.url for each in world.browser.seen[::-1] if "max_age" in each.url.params)
    assert asked.params["max_age"] == str(FRESH_SIGN_IN_SECONDS)
    assert str(back.url) == address
    assert "您已同意授权" in (await world.send(back, "/grant")).text
    world.age(signed_in=FRESH_SIGN_IN_SECONDS + 10)
    stale = await world.browser.go(world.my(f"/consents/{other.consent_id}"))
    await world.send(stale, "/refuse")
    assert world.standing(other).state == REFUSED


async def test_revoking_takes_no_fresh_sign_in(world: World) -> None:
    consent = world.given()
    await world.signed_in()
    world.age(signed_in=FRESH_SIGN_IN_SECONDS + 10)
    asked = await world.browser.go(world.my(f"/consents/{consent.consent_id}/revoke"))
    assert "授权已撤回" in (await world.send(asked, "/revoke")).text
