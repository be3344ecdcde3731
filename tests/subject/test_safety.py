"""The pages against those who would use them, and for those who can only just."""

import json
import re
from html.parser import HTMLParser

import httpx
import pytest
from sqlalchemy import select, update

from consent.model import Actor
from consent.tables import CONSENT
from gateway.subject.app import COMPANY_PAGES
from tests.people import COMPANY, browser
from tests.subject.world import BANK_ID, EVALUATION, INSURANCE, TAX, ZHAO_QIAN, World, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = "91000000DEM000012D"
NOBODYS = "91000000DEM000013A"
NO_CONSENT = f"{'0' * 10}-{'0' * 24}"
PAGES = (
    "/inbox",
    "/consents",
    "/consents?show=ended",
    "/accesses",
    "/notices",
    "/delegations",
    "/delegations/new",
    "/keys",
)


def named(path: str, consent_id: str) -> str:
    """Return the path of a route with an id in each of its places."""
    places = {
        "{consent_id}": consent_id,
        "{newest}": "1",
        "{delegation_id}": NO_CONSENT,
        "{thumbprint}": "x" * 43,
    }
    for place, id_ in places.items():
        path = path.replace(place, id_)
    return path


async def filled(world: World) -> list[str]:
    """Return the addresses of every page of a company that has something on each."""
    asked = world.ask(world.terms((TAX, EVALUATION)), message="Invented words")
    given = world.given(operator_id=BANK_ID)
    await world.use(world.given(), [TAX])
    ended = world.move(world.given(world.terms((INSURANCE,))), "revoke", Actor.OPERATOR)
    paths = [
        *PAGES,
        *(f"/consents/{each.consent_id}" for each in (asked, given, ended)),
        f"/consents/{given.consent_id}/revoke",
    ]
    return [world.url("/my/companies"), *map(world.my, paths)]


async def every_page(world: World) -> list[httpx.Response]:
    """Return every page there is, of somebody signed in and of nobody, fit to be looked at."""
    before = await world.browser.go(world.url("/my"))
    await world.signed_in()
    addresses = await filled(world)
    pages = [await world.browser.go(address) for address in addresses]
    assert {page.status_code for page in pages} == {200}
    missing = await world.browser.go(world.my(f"/consents/{NO_CONSENT}"))
    return [before, missing, *pages]


async def test_pages_run_no_script_load_nothing_and_cannot_be_framed(world: World) -> None:
    for response in await every_page(world):
        policy = dict(
            [*part.strip().split(" ", 1), ""][:2]
            for part in response.headers["content-security-policy"].split(";")
        )
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
        }
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "max-age=" in response.headers["strict-transport-security"]
        assert not re.search(r"<script|<style|style=| on\w+=|javascript:", response.text)


async def test_pages_speak_chinese_first_and_english_on_request(world: World) -> None:
    for page in await every_page(world):
        assert '<html lang="zh-Hans">' in page.text
        english = await world.browser.go(str(page.url.copy_set_param("lang", "en")))
        assert '<html lang="en">' in english.text
        # Names stay in their own language; so does the way back to Chinese.
        text = re.sub(r'<a [^>]*lang="zh-Hans".*?</a>', "", english.text)
        text = re.sub(r"示例征信有限公司|示例银行股份有限公司|李明|（虚构）", "", text)
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", text), page.url
        # Every link and form keeps to the language.
        for address in re.findall(r'(?:href|action)="(/[^"]*)"', text):
            assert "lang=en" in address or address.startswith("/static/"), address


class _Unmarked(HTMLParser):
    """Collects the Chinese words of a page in an element of another language."""

    def __init__(self) -> None:
        super().__init__()
        self.languages: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "input", "br"}:
            inherited = self.languages[-1] if self.languages else ""
            self.languages.append(dict(attrs).get("lang") or inherited)

    def handle_endtag(self, tag: str) -> None:
        self.languages.pop()

    def handle_data(self, data: str) -> None:
        if re.search(r"[\u3400-\u9fff]", data) and not self.languages[-1].startswith("zh"):
            self.found.append(data.strip())


async def test_chinese_words_of_english_pages_are_marked_for_screen_readers(world: World) -> None:
    """WCAG 2.2, 3.1.2: reasons, names and labels of people too. A title has one language."""
    addresses = [str(page.url) for page in await every_page(world)]
    held = world.given(operator_id=BANK_ID)
    world.move(held, "pause", Actor.ADMINISTRATOR, "违规（虚构）")
    draft = await world.browser.go(world.my("/delegations/new"))
    chosen = {"label": "财务部王芳", "days": "30", "power-see": "on", f"operator-{BANK_ID}": "on"}
    await world.browser.submit(draft, **chosen)
    told: list[str] = []
    for address in (*addresses, world.my(f"/consents/{held.consent_id}")):
        english = await world.browser.go(str(httpx.URL(address).copy_set_param("lang", "en")))
        words = _Unmarked()
        words.feed(re.sub(r"<title>.*?</title>", "", english.text))
        assert words.found == [], address
        told.append(text_of(english))
    assert all(any(each in page for page in told) for each in ("违规（虚构）", "财务部王芳"))


async def test_controls_have_labels_and_pages_a_title_and_one_heading(world: World) -> None:
    titles: list[str] = []
    for page in await every_page(world):
        titles += [
            " ".join(each.split()) for each in re.findall(r"<title>(.*?)</title>", page.text)
        ]
        assert len(re.findall(r"<h1", page.text)) == 1
        assert '<main id="content"' in page.text
        assert 'class="skip" href="#content"' in page.text
        assert 'name="viewport"' in page.text
        for control in re.findall(r'<(?:input (?!type="hidden")|select|textarea)[^>]*>', page.text):
            (label,) = re.findall(r'id="([^"]+)"', control)
            assert f'<label for="{label}"' in page.text
    assert all(titles)


async def test_every_change_takes_the_token_of_its_own_form(world: World) -> None:
    """Cross-site request forgery: another site can send a form, not know its token."""
    consent, given = world.ask(), world.given()
    await world.signed_in()
    changes = [path for method, path, _ in COMPANY_PAGES if method == "POST"]
    assert len(changes) >= 9
    for path in changes:
        of = given if "revoke" in path else consent
        address = world.my(named(path, of.consent_id))
        for form in ({"token": "0" * 64}, {"token": ""}, {"other": "x"}):
            answer = await world.browser.go(address, **form)
            # Without a receipt there is nothing to sign, whoever asks, nor a report to revoke.
            expected = 404 if path.endswith("/signature") or "report_id" in path else 403
            assert answer.status_code == expected, path
    assert (await world.browser.go(world.url("/my/invitations"), token="x")).status_code == 404


async def test_another_company_is_as_one_that_does_not_exist(world: World) -> None:
    consent = world.given()
    await world.signed_in()
    pages = [(method, named(path, consent.consent_id)) for method, path, _ in COMPANY_PAGES]
    async with browser(world.installation) as stranger:
        await world.signed_in(ZHAO_QIAN, stranger)
        for method, path in pages:
            form = {"token": "x"} if method == "POST" else {}
            answers = [
                await stranger.go(world.my(path, subject), **form) for subject in (COMPANY, NOBODYS)
            ]
            assert {answer.status_code for answer in answers} == {404}, path
            assert len({answer.text for answer in answers}) == 1
        # Nor is a consent of another company told from none, by the link operators pass on.
        links = [f"/my/consents/{each}" for each in (consent.consent_id, NO_CONSENT)]
        answers = [await stranger.go(world.url(link)) for link in links]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    "odd", ["x", "x" * 300, "%00", "..%2f..", "é" * 20, "0" * 35, f"{'0' * 10}-{'G' * 24}"]
)
async def test_what_has_no_form_of_ours_is_not_found(world: World, odd: str) -> None:
    await world.signed_in()
    for address in (
        world.my(f"/consents/{odd}"),
        world.my(f"/consents/{odd}/revoke"),
        world.url(f"/my/consents/{odd}"),
        world.url(f"/my/{odd}/inbox"),
        world.url(f"/my/invitations/{odd}"),
    ):
        assert (await world.browser.go(address)).status_code == 404


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"token=a&token=b", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"token=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b'{"token": "x"}', "application/json", 415),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    world: World, content: bytes, media_type: str, status: int
) -> None:
    consent = world.ask()
    await world.signed_in()
    answer = await world.browser.http.post(
        world.my(f"/consents/{consent.consent_id}/grant"),
        content=content,
        headers={"content-type": media_type},
    )
    assert answer.status_code == status


@pytest.mark.parametrize("newest", ["9" * 5_000, "9" * 19, "-1", "x", "٣"])
async def test_notices_seen_up_to_no_number_are_missing(world: World, newest: str) -> None:
    await world.signed_in()
    answer = await world.browser.go(world.my(f"/notices/{newest}/seen"), token="x")
    assert answer.status_code == 404
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_page_that_fails_unforeseen_tells_nothing_and_keeps_its_guards(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A consent that a later version wrote cannot be read: one page fails, its lists do not."""
    await world.signed_in()
    good, bad = world.given(), world.ask(message="invented secret words")
    spoil(world, bad.consent_id)
    pages = [await world.browser.go(world.my(path)) for path in PAGES]
    assert {page.status_code for page in pages} == {200}
    assert good.consent_id in pages[1].text
    assert not any(bad.consent_id in page.text for page in pages)
    broken = await world.browser.go(world.my(f"/consents/{bad.consent_id}"))
    assert broken.status_code == 500
    assert "default-src 'none'" in broken.headers["content-security-policy"]
    assert broken.headers["cache-control"] == "no-store"
    assert "Traceback" not in broken.text
    assert "a subject's page failed: ValidationError" in caplog.text
    assert bad.consent_id in caplog.text
    assert "invented secret words" not in caplog.text


def spoil(world: World, consent_id: str) -> None:
    """Make a consent one of a version to come."""
    with world.installation.engines.records.begin() as connection:
        query = select(CONSENT.c.document).where(CONSENT.c.consent_id == consent_id)
        document = json.loads(connection.execute(query).scalar_one())
        connection.execute(
            update(CONSENT)
            .where(CONSENT.c.consent_id == consent_id)
            .values(document=json.dumps({**document, "of_a_later_version": True}))
        )
