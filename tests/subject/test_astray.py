"""Who comes to a page that is not there, or writes its address otherwise, finds on from there."""

import pytest

from tests.people import COMPANY, browser
from tests.subject.world import World, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "path",
    [
        f"/my/{COMPANY}/consents/{'0' * 10}-{'0' * 24}",
        "/my/consents/none",
        f"/my/invitations/{'x' * 9}",
        "/my/invitations",
    ],
)
async def test_what_is_not_there_says_so_in_the_language_chosen(world: World, path: str) -> None:
    await world.signed_in()
    shown = await world.browser.go(world.url(path))
    assert (shown.status_code, "没有这个页面" in shown.text) == (404, True)
    english = await world.browser.follow(shown, "lang=en")
    assert "There is no such page" in text_of(english)
    assert english.url.path == shown.url.path
    back = await world.browser.follow(english, "lang=zh")
    assert "没有这个页面" in back.text


@pytest.mark.parametrize(
    ("path", "method", "takes"),
    [
        ("/", "GET", ""),
        ("/", "POST", ""),
        ("/my/nothing/of/ours", "GET", ""),
        (f"/my/{COMPANY}/nonsense", "GET", ""),
        (f"/my/{COMPANY}/nonsense", "POST", ""),
        ("/my", "POST", "GET, HEAD"),
        (f"/my/{COMPANY}/inbox", "DELETE", "GET, HEAD"),
        (f"/my/{COMPANY}/consents/none/grant", "GET", "POST"),
        (f"/my/{COMPANY}/keys", "PUT", "GET, HEAD, POST"),
    ],
)
async def test_an_address_of_no_page_answers_with_one_that_leads_on(
    world: World, path: str, method: str, takes: str
) -> None:
    async with browser(world.installation) as stranger:
        shown = await stranger.http.request(method, world.url(path))
        assert (shown.status_code, shown.headers.get("allow", "")) == (405 if takes else 404, takes)
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        for words in ('<html lang="zh-Hans">', "<title>", "<h1>没有这个页面</h1>", 'href="/my"'):
            assert words in shown.text
        assert ('hreflang="en"' in shown.text) == (method == "GET")
        english = await stranger.http.request(method, world.url(f"{path}?lang=en"))
        assert "<h1>There is no such page</h1>" in english.text
        assert 'href="/my?lang=en"' in english.text


@pytest.mark.parametrize("path", ["/my", f"/my/{COMPANY}", f"/my/{COMPANY}/consents"])
async def test_a_slash_too_many_leads_to_the_page_that_is_meant(world: World, path: str) -> None:
    await world.signed_in()
    meant = await world.browser.go(world.url(f"{path}?lang=en"))
    shown = await world.browser.go(world.url(f"{path}/?lang=en"))
    assert (shown.status_code, shown.url) == (200, meant.url)
    assert shown.headers["x-frame-options"] == "DENY"


async def test_a_slash_too_many_leads_to_no_other_site(world: World) -> None:
    await world.signed_in()
    for path in ("/my//elsewhere.invalid/", "/my/%2f%2felsewhere.invalid/"):
        shown = await world.browser.go(world.url(path))
        assert shown.url.host == "127.0.0.1"


async def test_the_answer_to_a_form_that_was_not_taken_offers_no_other_language(
    world: World,
) -> None:
    consent = world.given()
    await world.signed_in()
    sent = await world.browser.go(world.my(f"/consents/{consent.consent_id}/revoke"), token="x")
    assert sent.status_code == 403
    assert 'hreflang="en"' not in sent.text
