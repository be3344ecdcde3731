"""What opens something for weeks or months takes a sign-in of the last hour; what closes takes
none of its own."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from joserfc.jwk import OKPKey

from consent.delegation import live
from consent.subject_keys import SqlSubjectKeys
from gateway.subject.acting import FRESH_SIGN_IN_SECONDS
from tests.people import COMPANY, Browser, browser
from tests.reports.own import issued
from tests.subject.test_delegations import (
    ALL,
    accepted,
    appointed,
    delegations_of,
    link_of,
    withdrawn,
)
from tests.subject.world import LI_MING, LIU_YANG, PENALTY, World, forms_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

STALE = "您登录已超过一小时"
APPOINT = r"/delegations/[0-9a-f-]+$"
REGISTER = r"/keys$"
ISSUE = r"/reports/[0-9a-f-]+$"


@pytest.fixture(autouse=True)
def none_left(site: World) -> Iterator[None]:
    """Withdraw whatever a test leaves."""
    yield
    withdrawn(site)


def key() -> str:
    """Return a new public key, as one enters it."""
    return json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=False))


def form_of(page: httpx.Response, wanted: str) -> str:
    """Return the path of the one form of ``page`` that is sent to such a path, "" for none."""
    found = [action for action, _ in forms_of(page, "") if re.search(wanted, action)]
    return found[0] if found else ""


async def opened(world: World) -> tuple[int, int, int]:
    """Return how many delegations, keys and reports of the company stand."""
    keys = SqlSubjectKeys(world.installation.engines.records)
    standing = [each for each in delegations_of(world).of_subject(COMPANY) if not each.ended_at]
    reports = forms_of(await world.browser.go(world.my("/reports")), "/revoke")
    return len(standing), len(keys.standing(COMPANY)), len(reports)


async def signed_in_again(world: World, stale: httpx.Response, visitor: Browser, who: str) -> None:
    """Sign in as a page offers that takes it, and see that it leads back to that page."""
    assert STALE in stale.text
    back = await visitor.sign_in(stale, who)
    # The provider is told how fresh it must be.
    asked = next(each.url for each in visitor.seen[::-1] if "max_age" in each.url.params)
    assert asked.params["max_age"] == str(FRESH_SIGN_IN_SECONDS)
    assert (back.url.path, back.status_code) == (stale.url.path, 200)
    assert STALE not in back.text


@pytest.mark.parametrize(
    ("path", "wanted", "chosen"),
    [
        ("/delegations/new", APPOINT, {**ALL, "label": "财务部刘洋（虚构）", "days": "366"}),
        ("/keys", REGISTER, {}),
        ("/reports", ISSUE, {f"item-{PENALTY}": "on"}),
    ],
    ids=["a deputy", "a key", "a report"],
)
async def test_what_opens_for_long_takes_a_fresh_sign_in(
    world: World, path: str, wanted: str, chosen: dict[str, str]
) -> None:
    await world.signed_in()
    shown = await world.browser.go(world.my(path))
    part = form_of(shown, wanted).rpartition("/")[2]
    before = await opened(world)
    world.age(signed_in=FRESH_SIGN_IN_SECONDS + 10)
    stale = await world.send(shown, part, chosen={**chosen, "jwk": key()})
    assert str(stale.url) == world.my(path)
    assert not form_of(stale, wanted)
    assert await opened(world) == before
    english = await world.browser.go(world.my(f"{path}?lang=en"))
    assert "You signed in more than an hour ago" in english.text
    assert not form_of(english, wanted)
    await signed_in_again(world, stale, world.browser, LI_MING)
    again = await world.browser.go(world.my(path))
    part = form_of(again, wanted).rpartition("/")[2]
    done = await world.send(again, part, chosen={**chosen, "jwk": key()})
    assert done.status_code == 200
    assert sum(await opened(world)) == sum(before) + 1


async def test_becoming_a_deputy_takes_a_fresh_sign_in(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    async with browser(world.installation) as deputy:
        shown = await deputy.sign_in(await deputy.go(link), LIU_YANG)
        world.age(signed_in=FRESH_SIGN_IN_SECONDS + 10)
        stale = await world.send(shown, "/my/invitations", deputy)
        assert not forms_of(stale, "/my/invitations")
        kept = delegations_of(world)
        assert not any(live(each, world.now) for each in kept.of_subject(COMPANY))
        await signed_in_again(world, stale, deputy, LIU_YANG)
        again = await deputy.go(world.url("/my/invitations"))
        await world.send(again, "/my/invitations", deputy)
        assert any(live(each, world.now) for each in kept.of_subject(COMPANY))


async def test_what_closes_takes_no_fresh_sign_in(world: World) -> None:
    await world.signed_in()
    await issued(world, PENALTY)
    keys = await world.browser.go(world.my("/keys"))
    await world.send(keys, "/keys", chosen={"jwk": key()})
    link, other = [link_of(await appointed(world, ALL)) for _ in range(2)]
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        page = await deputy.go(other)
        await world.send(page, "/my/invitations", deputy)
        world.age(signed_in=FRESH_SIGN_IN_SECONDS + 10)
        mine = await deputy.go(world.url("/my/companies"))
        ((given_up, _), _) = forms_of(mine, "/give-up")
        await world.send(mine, given_up, deputy)
    assert (await opened(world))[0] == 1
    listed = await world.browser.go(world.my("/delegations"))
    await world.send(listed, "/end")
    for path, part in (("/keys", "/remove"), ("/reports", "/revoke")):
        while forms := forms_of(page := await world.browser.go(world.my(path)), part):
            await world.send(page, forms[0][0])
    assert await opened(world) == (0, 0, 0)
