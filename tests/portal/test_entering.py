"""Who comes into the portal: representatives, to their own operator, judged anew at every page."""

import re

import pytest

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.portal.app import SHOWN
from gateway.portal.entering import ENTRANCE
from gateway.settle.month import month_of
from tests.installation import OPERATOR_ID, company
from tests.people import COMPANY, browser
from tests.portal.world import NOBODY, OTHER, REPRESENTATIVE, PortalWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")


def paths(world: PortalWorld, operator_id: str = OPERATOR_ID) -> list[str]:
    """Return the path of every page of an operator."""
    month = month_of(world.installation.clock.now()).name
    return [f"/{operator_id}{path.format(month=month)}" for path, _ in SHOWN]


async def test_whoever_is_not_signed_in_is_told_nothing_but_to_sign_in(world: PortalWorld) -> None:
    asked = [*paths(world), *paths(world, "nobody")]
    pages = [await world.see(path) for path in asked]
    assert all("登录" in page.text and page.status_code == 200 for page in pages)
    told = {
        page.text.replace(f"/portal{path}", "").replace(f"/portal{path}".replace("/", "%2F"), "")
        for path, page in zip(asked, pages, strict=True)
    }
    assert len(told) == 1


async def test_signing_in_leads_to_the_page_that_was_asked_for(world: PortalWorld) -> None:
    page = await world.sign_in(REPRESENTATIVE, f"/{OPERATOR_ID}/keys?lang=en")
    assert page.url.path == f"/portal/{OPERATOR_ID}/keys"
    assert "Keys of clients" in page.text


async def test_a_representative_is_led_to_the_operator_they_represent(world: PortalWorld) -> None:
    page = await world.sign_in(REPRESENTATIVE)
    assert page.url.path == f"/portal/{OPERATOR_ID}"
    assert "Invented firm alpha" in page.text
    assert "beta" not in page.text


@pytest.mark.parametrize("subject", [OTHER, NOBODY])
async def test_another_operator_is_as_one_that_does_not_exist(
    world: PortalWorld, subject: str
) -> None:
    await world.sign_in(subject)
    for path, none in zip(paths(world), paths(world, "nobody"), strict=True):
        refused, missing = await world.see(path), await world.see(none)
        assert (refused.status_code, refused.text) == (missing.status_code, missing.text)
        assert refused.status_code == 404


async def test_whoever_represents_no_operator_is_told_so(world: PortalWorld) -> None:
    page = await world.sign_in(NOBODY)
    assert page.status_code == 403
    assert "没有您代表的运营机构" in page.text


async def test_a_company_that_is_no_longer_the_operators_is_out_at_the_next_page(
    world: PortalWorld,
) -> None:
    assert (await world.sign_in(REPRESENTATIVE)).status_code == 200
    await world.become(OPERATOR_ID, uscc=company(7))
    for path in paths(world):
        assert (await world.see(path)).status_code == 404
    assert (await world.see()).status_code == 403


async def test_a_company_that_is_several_operators_chooses(world: PortalWorld) -> None:
    await world.become("beta", uscc=COMPANY)
    page = await world.sign_in(REPRESENTATIVE)
    assert page.url.path == "/portal"
    assert set(re.findall(r'href="/portal/([a-z]+)"', page.text)) == {OPERATOR_ID, "beta"}
    page = await world.browser.follow(page, "/portal/beta")
    assert "Invented firm beta" in page.text
    assert 'href="/portal"' in page.text


@pytest.mark.parametrize(
    "state", [OperatorState.OPERATOR_STATE_SUSPENDED, OperatorState.OPERATOR_STATE_REVOKED]
)
async def test_what_is_owed_and_held_is_shown_also_to_who_is_stopped(
    world: PortalWorld, state: OperatorState.ValueType
) -> None:
    await world.become(OPERATOR_ID, state=state)
    page = await world.sign_in(REPRESENTATIVE)
    assert "本机构当前不能取得记录" in page.text
    assert [(await world.see(path)).status_code for path in paths(world)] == [200] * len(SHOWN)


async def test_every_page_is_shown_in_both_languages_without_script_or_deed(
    world: PortalWorld,
) -> None:
    await world.sign_in(REPRESENTATIVE)
    for path in paths(world):
        for query, language in (("", 'lang="zh-Hans"'), ("?lang=en", 'lang="en"')):
            page = await world.see(path + query)
            assert page.status_code == 200, path
            assert f"<html {language}>" in page.text
            assert "<script" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert page.headers["cache-control"] == "no-store"
            forms = re.findall(r'<form[^>]*action="([^"?]+)', page.text)
            assert forms == ["/signin/out"]
            posted = await world.browser.http.post(world.url(path), data={"token": "x"})
            assert posted.status_code == 405


@pytest.mark.parametrize(
    "place",
    ["https://evil.test/", "//evil.test/portal", "/my", "/portal/../my", "/portals", "/portal?x=1"],
)
async def test_nobody_is_led_anywhere_else_by_signing_in(place: str) -> None:
    assert ENTRANCE.place_of(place) == "/portal"


@pytest.mark.parametrize(
    ("path", "method", "takes"),
    [
        (f"/{OPERATOR_ID}/nothing", "GET", ""),
        ("/nobody/a/b/c/d", "POST", ""),
        ("", "POST", "GET, HEAD"),
    ],
)
async def test_an_address_of_no_page_is_told_in_words(
    world: PortalWorld, path: str, method: str, takes: str
) -> None:
    async with browser(world.installation) as stranger:
        shown = await stranger.http.request(method, world.url(path))
        assert (shown.status_code, shown.headers.get("allow", "")) == (405 if takes else 404, takes)
        for words in ('<html lang="zh-Hans">', "<h1>没有这个页面</h1>", 'href="/portal"'):
            assert words in shown.text
        english = await stranger.http.request(method, world.url(f"{path}?lang=en"))
        assert "<h1>There is no such page</h1>" in english.text
