"""Who comes into the console: administrators, judged anew at every page, and nobody else (G4)."""

import pytest

from creditgate.v1.administrator_service_pb2 import AdministratorRole
from gateway.console.app import SHOWN
from gateway.console.entering import ENTRANCE
from gateway.console.tabs import TABS
from operators.administrators import scopes_of_administrator_role
from tests.console.world import AUDITOR, LICENSER, NOBODY, PEOPLE, SECURER, World
from tests.installation import OPERATOR_ID
from tests.people import LICENSING, SECURITY, browser
from tests.subject.world import caught_up

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = [path for path, _ in SHOWN if "{" not in path]
DETAILED = [f"/operators/{OPERATOR_ID}", "/operators/nobody", "/proposals/0-0", "/nothing"]


async def test_whoever_is_not_signed_in_is_told_nothing_but_to_sign_in(world: World) -> None:
    pages = [await world.see(path) for path in (*PATHS, *DETAILED[:3])]
    assert all("登录" in page.text and page.status_code == 200 for page in pages)
    told = {page.text.replace(page.url.path, "").replace("%2F", "/") for page in pages}
    assert len({text.count("<a ") for text in told}) == 1
    assert "alpha" not in "".join(told).replace(f"/operators/{OPERATOR_ID}", "")


async def test_signing_in_leads_to_the_page_that_was_asked_for(world: World) -> None:
    page = await world.sign_in(LICENSER, f"/operators/{OPERATOR_ID}?lang=en")
    assert page.url.path == f"/console/operators/{OPERATOR_ID}"
    assert "Licences" in page.text


async def test_whoever_administers_nothing_sees_nothing(world: World) -> None:
    page = await world.sign_in(NOBODY)
    assert page.status_code == 403
    for path in (*PATHS, *DETAILED[:3]):
        assert (await world.see(path)).status_code == 403


async def test_whoever_is_no_administrator_any_more_is_stopped_at_the_next_page(
    world: World,
) -> None:
    assert (await world.sign_in(SECURER)).status_code == 200
    world.administer(SECURER, [SECURITY], removed_at=world.installation.clock.now())
    await caught_up()
    assert (await world.see("/brakes")).status_code == 403


@pytest.mark.parametrize("subject", PEOPLE)
async def test_each_role_sees_the_sections_its_scopes_open_and_no_other(
    world: World, subject: str
) -> None:
    page = await world.sign_in(subject)
    (role,) = PEOPLE[subject]
    scopes = scopes_of_administrator_role(role)
    needed = {
        "/operators": "operators:read",
        "/proposals": "proposals:read",
        "/scopes": "scopes:describe",
        "/prices": "prices:read",
        "/use": "usage:read",
        "/clearing": "clearings:read",
        "/conformance": "credit.conformance:read",
        "/alerts": "alerts:read",
        "/brakes": "brakes:read",
    }
    assert needed.keys() <= {path for path, _, _ in TABS}
    for path, scope in needed.items():
        assert (f'href="/console{path}"' in page.text) == (scope in scopes)
        section = await world.see(path)
        assert section.status_code == (200 if scope in scopes else 403)
        # Nor does a section lead to one that is closed.
        assert not [
            other
            for other, its in needed.items()
            if its not in scopes and f'href="/console{other}"' in section.text
        ]


async def test_roles_taken_away_close_their_sections_at_once(world: World) -> None:
    await world.sign_in(SECURER)
    assert (await world.see("/brakes")).status_code == 200
    world.administer(SECURER, [AdministratorRole.ADMINISTRATOR_ROLE_PRICING])
    await caught_up()
    assert (await world.see("/brakes")).status_code == 403


async def test_every_page_is_shown_in_both_languages_without_script(world: World) -> None:
    world.administer(AUDITOR, [LICENSING, SECURITY, AdministratorRole.ADMINISTRATOR_ROLE_PRICING])
    await caught_up()
    await world.sign_in(AUDITOR)
    for path in (*PATHS, f"/operators/{OPERATOR_ID}", f"/operators/{OPERATOR_ID}/use"):
        for query, language in (("", 'lang="zh-Hans"'), ("?lang=en", 'lang="en"')):
            page = await world.see(path + query)
            assert page.status_code == 200, path
            assert f"<html {language}>" in page.text
            assert "<script" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert page.headers["cache-control"] == "no-store"


async def test_what_there_is_not_is_not_found(world: World) -> None:
    await world.sign_in(LICENSER)
    for path in DETAILED[1:]:
        assert (await world.see(path)).status_code == 404


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.test/",
        "//evil.test/console",
        "/my",
        "/console/../my",
        "/consoles",
        "/console?x=1",
    ],
)
async def test_nobody_is_led_anywhere_else_by_signing_in(place: str) -> None:
    assert ENTRANCE.place_of(place) == "/console"


@pytest.mark.parametrize(
    ("path", "method", "takes"),
    [
        ("/nothing/here", "GET", ""),
        ("/brakes/none/release", "GET", "POST"),
        ("", "POST", "GET, HEAD"),
    ],
)
async def test_an_address_of_no_page_is_told_in_words(
    world: World, path: str, method: str, takes: str
) -> None:
    async with browser(world.installation) as stranger:
        shown = await stranger.http.request(method, world.url(path))
        assert (shown.status_code, shown.headers.get("allow", "")) == (405 if takes else 404, takes)
        for words in ('<html lang="zh-Hans">', "<h1>没有这个页面</h1>", 'href="/console"'):
            assert words in shown.text
        english = await stranger.http.request(method, world.url(f"{path}?lang=en"))
        assert "<h1>There is no such page</h1>" in english.text


async def test_a_query_of_any_name_is_no_failure(world: World) -> None:
    page = await world.sign_in(LICENSER, "")
    for name in ("path", "language", "self"):
        page = await world.see(f"?{name}=x")
        assert page.status_code == 200
        assert f"{name}=x" in page.text
