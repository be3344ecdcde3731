"""Signing in at the pages, going where one was going, and nowhere else."""

import re
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import func, select, update

from consent.states import REQUESTED
from gateway.signin.attempts import MOST_FOR_ONE_PLACE
from gateway.signin.principals import Principals
from gateway.signin.sessions import COOKIE, IDLE_SECONDS, Sessions, digest_of
from gateway.signin.tables import ATTEMPT, SESSION
from gateway.subject.entering import ENTRANCE
from tests.installation import Installation
from tests.people import COMPANY, browser
from tests.subject.world import LIU_YANG, ZHAO_QIAN, World, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_whoever_is_not_signed_in_is_told_nothing_but_to_sign_in(world: World) -> None:
    consent = world.ask()
    paths = (
        "/my",
        f"/my/{COMPANY}/consents/{consent.consent_id}",
        f"/my/{COMPANY}/consents/{'0' * 10}-{'0' * 24}",
        "/my/91000000DEM000013F/inbox",
        f"/my/consents/{consent.consent_id}",
    )
    pages = [await world.browser.go(world.url(path)) for path in paths]
    assert all("登录" in page.text and page.status_code == 200 for page in pages)
    # But for where it leads, it is the same page for whatever is there and whatever is not.
    assert len({page.text.replace(str(page.url.path), "") for page in pages[1:]}) <= 4
    assert len({re.sub(r'href="[^"]*"', "", page.text) for page in pages}) == 1


async def test_signing_in_leads_to_the_page_that_was_asked_for(world: World) -> None:
    consent = world.ask()
    address = world.url(f"/my/consents/{consent.consent_id}?lang=en")
    shown = await world.browser.sign_in(await world.browser.go(address), "li-ming")
    assert shown.url.path == f"/my/{COMPANY}/consents/{consent.consent_id}"
    assert "Do you consent?" in shown.text


async def test_whoever_acts_for_one_company_comes_straight_to_it(world: World) -> None:
    await world.signed_in(ZHAO_QIAN)
    shown = await world.browser.go(world.url("/my"))
    assert shown.url.path == "/my/91000000DEM000012D/inbox"
    async with browser(world.installation) as visitor:
        await world.signed_in(LIU_YANG, visitor)
        nobody = await visitor.go(world.url("/my"))
    assert nobody.url.path == "/my/companies"
    assert "没有经核实的单位" in nobody.text


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.test/",
        "//evil.test/my",
        "/my/../oauth/authorize",
        "/my//evil.test",
        "/my?x=1",
        "/my/a\r\nSet-Cookie: x=1",
        "/myx",
        "/oauth/authorize",
        "/my/" + "x" * 65,
        "/my/a/b/c/d/e",
        "/my/%2e%2e",
    ],
)
async def test_no_place_but_one_of_these_pages_is_gone_to(world: World, place: str) -> None:
    assert ENTRANCE.place_of(place) == ENTRANCE.home
    address = httpx.URL(world.url("/my/sign-in")).copy_set_param("to", place)
    await world.browser.go(str(address))
    assert world.browser.http.cookies[ENTRANCE.cookie].strip('"') == ENTRANCE.home
    world.browser.http.cookies.delete(ENTRANCE.cookie)
    world.browser.http.cookies.set(ENTRANCE.cookie, re.sub(r"[\r\n]", "", place))
    back = await world.browser.http.get(world.url("/my/back"))
    assert (back.status_code, back.headers["location"]) == (303, "/my")


async def test_the_way_back_is_out_of_reach_of_other_sites_and_scripts(world: World) -> None:
    await world.browser.go(world.url("/my/sign-in?to=/my/companies"))
    cookies = [
        value
        for response in world.browser.seen
        for value in response.headers.get_list("set-cookie")
        if value.startswith((f"{COOKIE}=", f"{ENTRANCE.cookie}="))
    ]
    assert len(cookies) == 2
    for cookie in cookies:
        for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute in cookie
    done = await world.signed_in()
    assert ENTRANCE.cookie not in done.http.cookies


async def test_strangers_cannot_fill_the_store_with_sign_ins(world: World) -> None:
    def kept() -> int:
        with world.installation.engines.authority.connect() as connection:
            query = select(func.count()).select_from(ATTEMPT)
            return connection.execute(query.where(ATTEMPT.c.return_to.like("/my%"))).scalar_one()

    places = [f"/my/{COMPANY}/consents/{number:010x}-{'0' * 24}" for number in range(3)]
    # One browser's own are all counted as one place, wherever they lead.
    await world.browser.go(world.url("/my"))
    before = kept()
    for number in range(MOST_FOR_ONE_PLACE + 6):
        to = places[number % len(places)]
        await world.browser.http.get(world.url(f"/my/sign-in?to={to}"))
    assert kept() - before <= MOST_FOR_ONE_PLACE


async def test_a_form_of_somebody_who_was_signed_out_is_not_taken(world: World) -> None:
    consent = world.ask()
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}")
    shown = await world.browser.go(address)
    out = await world.send(shown, "/signin/out")
    assert "已退出登录" in out.text
    refused = await world.browser.go(f"{address}/refuse", token="x")
    assert str(refused.url) == f"{address}?over=1"
    assert "刚才的操作没有办理" in text_of(refused)
    assert "登录" in text_of(await world.browser.go(address))
    assert world.standing(consent).state == REQUESTED


async def test_who_represents_a_company_no_more_by_a_later_sign_in_does_so_in_no_session(
    world: World,
) -> None:
    asked, given = world.ask(), world.given()
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{asked.consent_id}"))
    # As another process signs the same person in, whom the provider binds to no company now.
    engine = world.installation.engines.authority
    sessions = Sessions(engine, world.installation.clock, Principals.kept_in(engine))
    identity = sessions.browser(world.browser.http.cookies[COOKIE]).identity
    assert identity is not None
    assert identity.uscc == COMPANY
    sessions.sign_in(sessions.browser(None), replace(identity, uscc=""))
    assert (await world.send(shown, "/grant")).status_code == 404
    for path in ("", "/delegations/new", f"/consents/{given.consent_id}/revoke"):
        assert (await world.browser.go(world.my(path))).status_code == 404
    assert COMPANY not in (await world.browser.go(world.url("/my/companies"))).text
    assert world.standing(asked).state == REQUESTED


async def test_one_signs_out_everywhere_and_nobody_else_with_it(world: World) -> None:
    await world.signed_in()
    async with browser(world.installation) as mine, browser(world.installation) as other:
        await world.signed_in(visitor=mine)
        await world.signed_in(ZHAO_QIAN, other)
        companies = await mine.go(world.url("/my/companies"))
        refused = await mine.go(world.url("/signin/out/everywhere"), token="0" * 64)
        assert refused.status_code == 403
        assert "切换单位" in (await world.browser.go(world.url("/my/companies"))).text
        out = await world.send(companies, "/everywhere", mine)
        assert "您在网关的所有会话都已结束" in out.text
        for visitor in (mine, world.browser):
            assert "切换单位" not in (await visitor.go(world.url("/my/companies"))).text
        assert "切换单位" in (await other.go(world.url("/my/companies"))).text


async def test_whose_session_was_idle_too_long_signs_in_to_sign_out_everywhere(
    world: World,
) -> None:
    await world.signed_in()
    async with browser(world.installation) as mine:
        await world.signed_in(visitor=mine)
        companies = await mine.go(world.url("/my/companies"))
        with world.installation.engines.authority.begin() as connection:
            connection.execute(
                update(SESSION)
                .where(SESSION.c.digest == digest_of(mine.http.cookies[COOKIE]))
                .values(seen_at=world.now - IDLE_SECONDS)
            )
        sent = await world.send(companies, "/everywhere", mine)
        assert "会话都已结束" not in sent.text
        assert (sent.url.path, "over" in sent.url.params) == ("/my/companies", True)
    # Nobody was signed out who still is in.
    assert "切换单位" in (await world.browser.go(world.url("/my/companies"))).text


async def test_without_an_identity_provider_nobody_can_sign_in(embedded: Installation) -> None:
    async with embedded.running() as gateway, browser(embedded) as visitor:
        for path in ("/my", f"/my/{COMPANY}/inbox", "/my/sign-in", "/my/invitations/x"):
            shown = await visitor.go(f"{gateway.running.issuer}{path}")
            assert shown.status_code == 503
            assert "oidc_issuer" in shown.text
