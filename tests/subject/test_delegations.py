"""Deputies: appointed by a link, within limits, for a time, and withdrawn at once."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from sqlalchemy import update

from consent.delegation import Delegation, Power
from consent.delegations_sql import MOST_A_DAY, MOST_OPEN, SqlDelegations
from consent.states import GRANTED, PAUSED, REFUSED, REVOKED
from creditgate.v1.consent_service_pb2 import GetConsentRequest
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.signin.tables import SESSION
from gateway.subject.invitations import INVITATION_COOKIE
from operators.model import OPERATOR
from tests.consents.receipts import parts
from tests.installation import eventually
from tests.people import COMPANY, Browser, browser
from tests.subject.world import (
    BANK_ID,
    CREDIT_APPROVAL,
    DAY,
    INSURANCE,
    LIU_YANG,
    PENALTY,
    TAX,
    ZHAO_QIAN,
    World,
    forms_of,
    text_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = {"power-answer": "on", "power-revoke": "on", "power-see": "on"}


async def appointed(world: World, chosen: dict[str, str]) -> httpx.Response:
    """Have the representative appoint somebody, and return the page with the link."""
    form = await world.browser.go(world.my("/delegations/new"))
    ((action, _),) = [f for f in forms_of(form, "") if "/delegations/" in f[0]]
    usual = {"label": "财务部刘洋（虚构）", "days": "30"}
    return await world.send(form, action.rpartition("/")[2], chosen={**usual, **chosen})


def link_of(page: httpx.Response) -> str:
    """Return the link of a page that shows one."""
    (link,) = re.findall(r"<code>(https://[^<]+/my/invitations/[0-9a-f]{64})</code>", page.text)
    return link


async def accepted(
    world: World, link: str, visitor: Browser, subject: str = LIU_YANG
) -> httpx.Response:
    """Have somebody follow the link, sign in and accept."""
    page = await visitor.sign_in(await visitor.go(link), subject)
    return await world.send(page, "/my/invitations", visitor)


async def told(world: World) -> int:
    """Return how many notices are new to who is signed in."""
    page = await world.browser.go(world.my("/consents"))
    found = re.search(r"通知 <span class=\"count\">(\d+)", page.text)
    return 0 if found is None else int(found[1])


def delegations_of(world: World) -> SqlDelegations:
    """Return the delegations of the store."""
    return SqlDelegations(world.installation.engines.records)


def withdrawn(world: World) -> None:
    """Withdraw all of the company's delegations: what deputies may do adds up."""
    kept = delegations_of(world)
    for each in kept.of_subject(COMPANY):
        kept.end(each.delegation_id, "test", world.now)


@pytest.fixture(autouse=True)
def none_left(site: World) -> Iterator[None]:
    """Withdraw whatever a test leaves."""
    yield
    withdrawn(site)


async def test_a_deputy_answers_and_is_named_with_the_delegation(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    async with browser(world.installation) as deputy:
        home = await accepted(world, link, deputy)
        assert home.url.path == f"/my/{COMPANY}/inbox"
        consent = world.ask()
        shown = await deputy.go(world.my(f"/consents/{consent.consent_id}"))
        await world.send(shown, "/grant", deputy)
    granted = world.standing(consent)
    (delegation, *_) = delegations_of(world).of_deputy(granted.signer)
    assert granted.state == GRANTED
    assert granted.delegation == delegation.delegation_id
    assert delegation.appointed_by != granted.signer
    notices = await world.browser.go(world.my("/notices"))
    history = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    for page in (notices, history):
        assert "受托人代贵单位同意授权（刘洋（虚构），委托时写作“财务部刘洋（虚构）”）" in text_of(
            page
        )


async def test_the_company_is_told_who_accepted_whoever_was_meant(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, {**ALL, "label": "财务部刘洋（虚构）"}))
    meant = "赵茜（虚构）接受了委托，委托时写作“财务部刘洋（虚构）”"
    unread = await told(world)
    async with browser(world.installation) as deputy:
        offered = await deputy.sign_in(await deputy.go(link), ZHAO_QIAN)
        assert "该单位会看到您的姓名：赵茜（虚构）" in text_of(offered)
        await world.send(offered, "/my/invitations", deputy)
        # Which of them the company may see is not for deputies to see.
        assert meant not in text_of(await deputy.go(world.my("/notices")))
        consent = world.ask()
        shown = await deputy.go(world.my(f"/consents/{consent.consent_id}"))
        await world.send(shown, "/grant", deputy)
    listed = text_of(await world.browser.go(world.my("/delegations")))
    assert re.search(r"财务部刘洋（虚构） 有效.*接受人赵茜（虚构），\d{4}-", listed, re.DOTALL)
    notices = await world.browser.go(world.my("/notices"))
    assert meant in text_of(notices)
    # Asked for, granted, and accepted.
    assert await told(world) == unread + 3
    for page in (notices, await world.browser.go(world.my(f"/consents/{consent.consent_id}"))):
        deed = "受托人代贵单位同意授权（赵茜（虚构），委托时写作“财务部刘洋（虚构）”）"
        assert deed in text_of(page)
    english = await world.browser.go(world.my("/notices?lang=en"))
    assert "赵茜（虚构） accepted it, appointed as “财务部刘洋（虚构）”" in text_of(english)
    await asyncio.sleep(1)
    seen = await world.send(await world.browser.go(world.my("/notices")), "/seen")
    assert meant not in text_of(seen)
    assert await told(world) == 0


async def test_nobody_can_have_seen_who_accepts_later(world: World) -> None:
    await world.signed_in()
    for subject, name in ((LIU_YANG, "刘洋（虚构）"), (ZHAO_QIAN, "赵茜（虚构）")):
        link = link_of(await appointed(world, ALL))
        async with browser(world.installation) as deputy:
            await accepted(world, link, deputy, subject)
        notices = await world.browser.go(world.my("/notices"))
        assert f"{name}接受了委托" in text_of(notices)
        await world.send(notices, "/seen", chosen={"accepted": "9" * 18})


async def test_operators_are_not_told_who_accepted(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    consent = world.ask()
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        shown = await deputy.go(world.my(f"/consents/{consent.consent_id}"))
        await world.send(shown, "/grant", deputy)
    async with world.gateway.channel() as channel:
        stub = ConsentServiceStub(channel)
        answer = await stub.GetConsent(GetConsentRequest(name=consent.name), timeout=10)
    kept = answer.consent
    assert kept.delegation
    assert "刘洋" not in f"{MessageToDict(kept)} {parts(kept.receipt)}"


async def test_a_name_that_the_provider_does_not_tell_is_not_made_up(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    async with browser(world.installation) as deputy:
        await deputy.sign_in(await deputy.go(link), LIU_YANG)
        # As where the provider tells no name: its own for the person stands in its place.
        with world.installation.engines.authority.begin() as connection:
            mine = SESSION.c.subject == LIU_YANG
            connection.execute(update(SESSION).where(mine).values(name=LIU_YANG))
        offered = await deputy.go(world.url("/my/invitations"))
        assert "没有提供您的姓名" in text_of(offered)
        await world.send(offered, "/my/invitations", deputy)
    for path, words in (
        ("/notices", "写给“财务部刘洋（虚构）”的委托已被接受"),
        ("/delegations", "没有姓名记录"),
    ):
        page = await world.browser.go(world.my(path))
        assert words in text_of(page)
        assert LIU_YANG not in page.text


async def test_withdrawal_acts_at_the_next_click(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    consent = world.ask()
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        shown = await deputy.go(world.my(f"/consents/{consent.consent_id}"))
        listed = await world.browser.go(world.my("/delegations"))
        ((action, _),) = forms_of(listed, "/end")
        done = await world.send(listed, action.partition("?")[0])
        assert "已收回" in done.text
        refused = await world.send(shown, "/grant", deputy)
        assert refused.status_code == 404
        assert (await deputy.go(world.my("/inbox"))).status_code == 404
        # The link does not bring it back.
        await deputy.go(link)
        assert (await deputy.go(world.url("/my/invitations"))).status_code == 404
    assert world.standing(consent).state != GRANTED


@pytest.mark.parametrize(
    ("power", "said"),
    [
        ("answer", "贵单位的代表可以随时撤回。"),
        ("see", "贵单位的代表仍可以撤回。"),
        ("revoke", "您仍可以撤回。"),
    ],
)
async def test_a_deputy_is_told_that_it_can_revoke_only_where_it_can(
    world: World, power: str, said: str
) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, {f"power-{power}": "on"}))
    asked, held = world.ask(), world.given(operator_id=BANK_ID)
    log, changed = world.installation.log, world.installation.put
    firm = log.history(kind=OPERATOR, id=BANK_ID, after=0, limit=999)[-1].document

    async def is_paused() -> bool:
        return world.standing(held).state == PAUSED

    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        changed(OPERATOR, BANK_ID, {**firm, "state": OperatorState.OPERATOR_STATE_SUSPENDED})
        await eventually(is_paused)
        if power == "answer":
            page = await deputy.go(world.my(f"/consents/{asked.consent_id}"))
            page = await world.send(page, "/grant", deputy)
        else:
            page = await deputy.go(world.my(f"/consents/{held.consent_id}"))
        changed(OPERATOR, BANK_ID, dict(firm))
    assert said in text_of(page)
    assert ("您仍可以撤回" in page.text or "您可以随时撤回" in page.text) == (power == "revoke")


async def test_a_deputy_gives_it_up(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        companies = await deputy.go(world.url("/my/companies"))
        done = await world.send(companies, "/give-up", deputy)
        assert "没有经核实的单位" in done.text
        assert (await deputy.go(world.my("/inbox"))).status_code == 404
    assert "受托人已辞去" in (await world.browser.go(world.my("/delegations"))).text


@pytest.mark.parametrize(
    ("powers", "opened"),
    [
        ({"power-answer": "on"}, {"/inbox", "/consents"}),
        ({"power-revoke": "on"}, {"/consents"}),
        ({"power-see": "on"}, {"/consents", "/accesses", "/notices"}),
        ({"power-report": "on"}, {"/consents", "/reports"}),
    ],
)
async def test_a_deputy_has_the_powers_it_was_given_and_no_others(
    world: World, powers: dict[str, str], opened: set[str]
) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, powers))
    waiting, given = world.ask(), world.given()
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        every = {
            *("/inbox", "/consents", "/accesses", "/notices"),
            *("/reports", "/delegations", "/keys"),
        }
        found = {path for path in every if (await deputy.go(world.my(path))).status_code == 200}
        assert found == opened
        assert (await deputy.go(world.my("/delegations/new"))).status_code == 404
        page = await deputy.go(world.my(f"/consents/{waiting.consent_id}"))
        assert bool(forms_of(page, "/grant")) == ("power-answer" in powers)
        live = await deputy.go(world.my(f"/consents/{given.consent_id}"))
        # Who may answer alone sees what waits, and nothing of what others answered.
        opens = bool({"power-see", "power-revoke"} & powers.keys())
        assert live.status_code == (200 if opens else 404)
        assert (given.consent_id in (await deputy.go(world.my("/consents"))).text) == opens
        assert ("/revoke" in live.text) == ("power-revoke" in powers)
        assert ("机构请求授权" in live.text) == ("power-see" in powers)
        for path in (
            f"/consents/{waiting.consent_id}/grant",
            f"/consents/{waiting.consent_id}/refuse",
        ):
            answer = await deputy.go(world.my(path), token="x")
            assert answer.status_code == (403 if "power-answer" in powers else 404)
        revoke = await deputy.go(world.my(f"/consents/{given.consent_id}/revoke"), token="x")
        assert revoke.status_code == (403 if "power-revoke" in powers else 404)


@pytest.mark.parametrize(
    "limit",
    [f"item-{TAX}", f"purpose-{CREDIT_APPROVAL}", f"operator-{BANK_ID}"],
)
async def test_what_lies_outside_a_deputys_limits_is_not_there_for_it(
    world: World, limit: str
) -> None:
    within: dict[str, Any] = {"operator_id": BANK_ID}
    inside = [world.ask(**within), world.given(**within)]
    other: dict[str, Any] = {
        f"item-{TAX}": {"terms": world.terms((TAX, INSURANCE)), "operator_id": BANK_ID},
        f"purpose-{CREDIT_APPROVAL}": {
            "terms": world.terms(purposes=frozenset({CREDIT_APPROVAL, Purpose.PURPOSE_BIDDING})),
            "operator_id": BANK_ID,
        },
        f"operator-{BANK_ID}": {},
    }[limit]
    outside = [world.ask(**other), world.given(**other)]
    await world.use(None, [PENALTY])
    await world.signed_in()

    async def use_is_indexed() -> bool:
        return "查询行政处罚" in text_of(await world.browser.go(world.my("/accesses")))

    await eventually(use_is_indexed)
    link = link_of(await appointed(world, {**ALL, limit: "on"}))
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        everything = "".join(
            [
                (await deputy.go(world.my(path))).text
                for path in ("/inbox", "/consents", "/notices", "/accesses")
            ]
        )
        for consent in inside:
            assert consent.consent_id in everything
            path = f"/consents/{consent.consent_id}"
            assert (await deputy.go(world.my(path))).status_code == 200
        for consent in outside:
            assert consent.consent_id not in everything
            for path in ("", "/revoke", "/receipt", "/grant"):
                address = world.my(f"/consents/{consent.consent_id}{path}")
                assert (await deputy.go(address)).status_code in {404, 405}
            assert (
                await deputy.go(world.my(f"/consents/{consent.consent_id}/revoke"), token="x")
            ).status_code == 404
        assert ("行政处罚" in everything) == limit.startswith("purpose")


async def test_a_use_that_a_deputy_sees_names_no_consent_that_it_may_not_see(world: World) -> None:
    wider, own = world.given(world.terms((TAX, INSURANCE))), world.given(world.terms((TAX,)))
    for consent in (wider, own):
        await world.use(consent, [TAX])
    await world.signed_in()
    path = f"/accesses?consent={wider.consent_id}"
    assert "看这份授权" in (await world.browser.go(world.my(path))).text
    link = link_of(await appointed(world, {"power-see": "on", f"item-{TAX}": "on"}))
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        all_uses = await deputy.go(world.my("/accesses"))
        assert f"/consents/{own.consent_id}" in all_uses.text
        assert wider.consent_id not in all_uses.text
        narrowed = await deputy.go(world.my(path))
        assert "看这份授权" not in narrowed.text
        assert f"/consents/{wider.consent_id}" not in narrowed.text
        # It is told all the same that the use was no public one.
        assert "依据授权" in text_of(narrowed)


async def test_an_invitation_is_accepted_once_by_one_person_who_did_not_make_it(
    world: World,
) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    # Whoever made it.
    own = await world.browser.go(link)
    assert "这是您自己发出的委托" in own.text
    assert not forms_of(own, "/my/invitations")
    async with browser(world.installation) as first, browser(world.installation) as second:
        late = await second.sign_in(await second.go(link), ZHAO_QIAN)
        assert "统一社会信用代码" in late.text
        await accepted(world, link, first)
        refused = await world.send(late, "/my/invitations", second)
        assert refused.status_code == 409
        assert (await second.go(world.my("/inbox"))).status_code == 404
        assert (await second.go(link)).status_code == 404


async def test_the_links_secret_does_not_stay_in_the_address(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    secret = link.rpartition("/")[2]
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        first, *others = deputy.seen
        assert (first.status_code, first.headers["location"]) == (303, "/my/invitations")
        (cookie,) = first.headers.get_list("set-cookie")
        for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute in cookie
        for response in others:
            assert secret not in str(response.url)
            assert secret not in response.text
        assert INVITATION_COOKIE not in deputy.http.cookies
    # What is kept of it is a digest.
    with world.installation.engines.records.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM delegations").all()
    assert secret not in str(rows)


async def test_the_form_sent_twice_makes_one_invitation_and_shows_it_again(world: World) -> None:
    await world.signed_in()
    form = await world.browser.go(world.my("/delegations/new"))
    ((action, _),) = [f for f in forms_of(form, "") if "/delegations/" in f[0]]
    chosen = {**ALL, "label": "重复提交", "days": "30"}
    part = action.rpartition("/")[2]
    first = await world.send(form, part, chosen=chosen)
    second = await world.send(form, part, chosen=chosen)
    assert link_of(first) == link_of(second)
    mine = [each for each in delegations_of(world).of_subject(COMPANY) if each.label == "重复提交"]
    assert len(mine) == 1
    delegations_of(world).end(mine[0].delegation_id, "test", world.now)
    assert (await world.send(form, part, chosen=chosen)).status_code == 409


@pytest.mark.parametrize(
    "corrected",
    [
        {"label": "改正的表单", "days": "30", "power-see": "on"},
        {**ALL, "label": "改正的表单", "days": "30", f"item-{TAX}": "on"},
        {**ALL, "label": "改正的表单", "days": "90"},
        {**ALL, "label": "另一个人", "days": "30"},
    ],
    ids=["less", "limited", "longer", "somebody else"],
)
async def test_a_form_that_was_taken_and_is_sent_anew_with_something_else_is_not_taken(
    world: World, corrected: dict[str, str]
) -> None:
    await world.signed_in()
    form = await world.browser.go(world.my("/delegations/new"))
    ((action, _),) = [f for f in forms_of(form, "") if "/delegations/" in f[0]]
    part = action.rpartition("/")[2]
    link_of(await world.send(form, part, chosen={**ALL, "label": "改正的表单", "days": "30"}))
    answer = await world.send(form, part, chosen=corrected)
    assert answer.status_code == 409
    assert "/my/invitations/" not in answer.text


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"label": "  "}, "请写明受托人"),
        ({"label": "x" * 101}, "请写明受托人"),
        ({"label": "a\u202eb"}, "请写明受托人"),
        ({"label": "\u3164\u2800"}, "请写明受托人"),
        ({"label": "刘" + "\u0300" * 5}, "请写明受托人"),
        ({"days": "3660"}, "请选择有效期"),
        ({"days": "x"}, "请选择有效期"),
    ],
)
async def test_what_is_wrong_with_an_appointment_is_told_and_nothing_lost(
    world: World, chosen: dict[str, str], words: str
) -> None:
    await world.signed_in()
    before = len(delegations_of(world).of_subject(COMPANY))
    page = await appointed(world, {"power-see": "on", **chosen})
    assert page.status_code == 400
    assert words in page.text
    assert re.search(r'name="power-see" checked', page.text)
    none = await appointed(world, {})
    assert "请至少选择一项权限" in none.text
    assert len(delegations_of(world).of_subject(COMPANY)) == before


async def test_only_what_is_offered_can_limit(world: World) -> None:
    await world.signed_in()
    before = len(delegations_of(world).of_subject(COMPANY))
    for limit in ("item-no such item", "item-gone.item", "operator-x", "purpose-99", "purpose-0"):
        # Passed over it would limit nothing, and nothing chosen opens everything.
        assert (await appointed(world, {**ALL, limit: "on"})).status_code == 409
    assert len(delegations_of(world).of_subject(COMPANY)) == before


async def test_nobody_appoints_for_a_company_that_is_not_theirs(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    async with browser(world.installation) as deputy, browser(world.installation) as stranger:
        await accepted(world, link, deputy)
        await world.signed_in(ZHAO_QIAN, stranger)
        (delegation,) = [
            each for each in delegations_of(world).of_subject(COMPANY) if each.ended_at is None
        ]
        for visitor in (deputy, stranger):
            for path in ("/delegations", "/delegations/new"):
                assert (await visitor.go(world.my(path))).status_code == 404
            for path in (delegation.delegation_id, f"{delegation.delegation_id}/end"):
                refused = await visitor.go(world.my(f"/delegations/{path}"), token="x")
                assert refused.status_code == 404
        given_up = f"/my/delegations/{delegation.delegation_id}/give-up"
        assert (await stranger.go(world.url(given_up), token="x")).status_code == 403
    assert "有效" in text_of(await world.browser.go(world.my("/delegations")))


async def test_a_deputy_revokes_and_refuses_in_the_companys_name(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    waiting, given = world.ask(), world.given()
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        page = await deputy.go(world.my(f"/consents/{waiting.consent_id}"))
        await world.send(page, "/refuse", deputy)
        page = await deputy.go(world.my(f"/consents/{given.consent_id}/revoke"))
        await world.send(page, "/revoke", deputy)
    assert world.standing(waiting).state == REFUSED
    assert world.standing(waiting).delegation
    assert world.standing(given).state == REVOKED


async def test_a_delegation_whose_time_is_over_opens_nothing(world: World) -> None:
    await world.signed_in()
    link = link_of(await appointed(world, ALL))
    kept, now = delegations_of(world), world.now
    async with browser(world.installation) as deputy:
        await accepted(world, link, deputy)
        (mine,) = [each for each in kept.of_subject(COMPANY) if each.ended_at is None]
        over = Delegation(
            delegation_id=f"{now:010x}-{'e' * 24}",
            subject=COMPANY,
            appointed_by="representative:x",
            label="到期的",
            powers=frozenset(Power),
            valid_from=now - 2 * DAY,
            valid_until=now - 1,
        )
        kept.invite(over, b"d" * 32)
        assert kept.accept(b"d" * 32, mine.deputy, now - DAY) is not None
        kept.end(mine.delegation_id, "test", now)
        for path in ("", "/inbox", "/consents", "/accesses"):
            assert (await deputy.go(world.my(path))).status_code == 404
        assert COMPANY not in (await deputy.go(world.url("/my/companies"))).text
    assert "已过期" in text_of(await world.browser.go(world.my("/delegations")))


async def test_there_are_only_so_many_deputies(world: World) -> None:
    await world.signed_in()
    kept, now = delegations_of(world), world.now
    for number in range(MOST_OPEN):
        kept.invite(
            Delegation(
                delegation_id=f"{now:010x}-{number:024x}",
                subject=COMPANY,
                appointed_by="representative:x",
                label=f"{number}",
                powers=frozenset(Power),
                # Few of them on any one day.
                valid_from=now - (MOST_OPEN + 2 - number) * DAY,
                valid_until=now + DAY,
            ),
            number.to_bytes(32),
        )
    refused = await appointed(world, ALL)
    assert refused.status_code == 400
    assert "请先收回不用的委托" in refused.text


async def test_only_so_many_deputies_are_appointed_within_a_day(world: World) -> None:
    await world.signed_in(ZHAO_QIAN)
    company, now = "91000000DEM000012D", world.now
    for number in range(MOST_A_DAY):
        made = Delegation(
            delegation_id=f"{now:010x}-{number + 100:024x}",
            subject=company,
            appointed_by="representative:x",
            label=f"{number}",
            powers=frozenset(Power),
            valid_from=now,
            valid_until=now + DAY,
        )
        delegations_of(world).invite(made, (number + 100).to_bytes(32))
        delegations_of(world).end(made.delegation_id, "test", now)
    page = await world.browser.go(world.my("/delegations/new", company))
    (action,) = re.findall(r'action="[^"]*(/delegations/[0-9a-f-]{35})"', page.text)
    refused = await world.send(page, action, chosen={"label": "x", "days": "30", **ALL})
    assert refused.status_code == 400
    assert "请明天再试" in refused.text


async def test_an_invitation_left_in_a_browser_is_not_for_who_sits_there_next(
    world: World,
) -> None:
    await world.signed_in()
    for leaving in ("out", "again"):
        link = link_of(await appointed(world, ALL))
        async with browser(world.installation) as shared:
            page = await shared.sign_in(await shared.go(link), ZHAO_QIAN)
            assert page.url.path == "/my/invitations"
            if leaving == "out":
                await world.send(page, "/signin/out", shared)
                assert INVITATION_COOKIE not in shared.http.cookies
                page = await shared.sign_in(await shared.go(world.url("/my")), LIU_YANG)
            else:
                page = await shared.go(world.url("/my/sign-in?again=1"))
                page = await shared.submit(page, account=LIU_YANG)
                if 'id="shown-code"' in page.text:
                    (code,) = re.findall(r'id="shown-code">(\d{6})<', page.text)
                    page = await shared.submit(page, code=code)
            assert page.status_code == 200, page.text
            assert INVITATION_COOKIE not in shared.http.cookies
            assert (await shared.go(world.url("/my/invitations"))).status_code == 404
