"""The list of consents, one of them, its receipts and its history."""

import json
import re
from hashlib import sha256

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import JWKRegistry, OKPKey

from consent.changing import Act, log
from consent.connections import writing
from consent.model import ONCE, Actor
from consent.owed import owe
from consent.states import GRANTED
from consent.subject_keys import MOST_KEYS
from gateway.consents.words import STATES
from tests.consents.receipts import parts
from tests.people import COMPANY, browser
from tests.subject.world import (
    BANK,
    BANK_ID,
    FIRM,
    INSURANCE,
    TAX,
    ZHAO_QIAN,
    World,
    caught_up,
    forms_of,
    rename,
    text_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def granted_by_page(world: World) -> str:
    """Return the id of a consent that was asked for and granted on its page."""
    consent = world.ask()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    await world.send(shown, "/grant")
    assert world.standing(consent).state == GRANTED
    return consent.consent_id


async def test_consents_in_force_and_ended_ones_are_listed_apart(world: World) -> None:
    given, used_up = world.given(), world.given(world.terms((TAX,), access_mode=ONCE))
    waiting = world.ask()
    ended = world.move(world.given(operator_id=BANK_ID), "revoke", Actor.OPERATOR)
    await world.use(used_up, [TAX])
    await world.signed_in()
    live = (await world.browser.go(world.my("/consents"))).text
    over = (await world.browser.go(world.my("/consents?show=ended"))).text
    assert given.consent_id in live
    assert given.consent_id not in over
    for each in (ended, used_up):
        assert each.consent_id not in live
        assert each.consent_id in over
    assert waiting.consent_id not in live + over
    assert STATES[ended.state][0] in over


async def test_every_consent_is_reached_page_by_page(world: World) -> None:
    wanted = {world.move(world.given(), "revoke", Actor.OPERATOR).consent_id for _ in range(25)}
    await world.signed_in()
    page = await world.browser.go(world.my("/consents?show=ended"))
    pages, found = 1, set[str]()
    while True:
        found |= set(re.findall(r"/consents/([0-9a-f-]{35})", page.text))
        if "更早的授权" not in page.text:
            break
        page = await world.browser.follow(page, "before=")
        pages += 1
    assert wanted <= found
    assert pages >= 2


async def test_one_shows_what_it_allows_how_often_it_was_used_and_its_history(
    world: World,
) -> None:
    consent = world.given(world.terms((TAX,)))
    await world.use(consent, [TAX])
    world.move(consent, "pause", Actor.ADMINISTRATOR, "投诉调查<期间>")
    await world.signed_in()
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    told = text_of(shown)
    # The pause by its history: the clerk ends it, since the firm is not suspended.
    for words in (
        FIRM,
        "纳税信息",
        "信贷审批",
        "暂停了机构的资格",
        "投诉调查<期间>",
        "机构请求授权",
    ):
        assert words in told
    assert re.search(r"已使用\s*1\s*次", told)
    uses = await world.browser.follow(shown, "/accesses")
    assert "查询纳税信息，2 条" in text_of(uses)


async def test_a_receipt_holds_by_the_gateways_published_keys(world: World) -> None:
    await world.signed_in()
    consent_id = await granted_by_page(world)
    shown = await world.browser.go(world.my(f"/consents/{consent_id}"))
    given = await world.browser.follow(shown, f"{consent_id}/receipt")
    assert given.headers["content-type"] == "application/jose"
    assert given.headers["content-disposition"] == (
        f'attachment; filename="consent-{consent_id}.jws"'
    )
    assert given.headers["cache-control"] == "no-store"
    now = await world.browser.go(world.my(f"/consents/{consent_id}/receipt-now"))
    metadata = (await world.browser.go(world.url("/.well-known/oauth-authorization-server"))).json()
    keys = (await world.browser.go(metadata["jwks_uri"])).json()["keys"]
    for receipt in (given.text, now.text):
        header = jws.extract_compact(receipt.encode()).headers()
        (key,) = [each for each in keys if each["kid"] == header["kid"]]
        payload = jws.deserialize_compact(
            receipt, JWKRegistry.import_key(key), algorithms=[header["alg"]]
        ).payload
        assert COMPANY in payload.decode()
        assert consent_id in json.dumps(json.loads(payload))
    assert given.text == world.consents.get(consent_id).receipt  # type: ignore[union-attr]


async def test_a_long_history_is_told_with_its_beginning_and_its_end_and_what_is_left_out(
    world: World,
) -> None:
    await world.signed_in()
    consent_id = await granted_by_page(world)
    consent = world.consents.get(consent_id)
    assert consent is not None
    with writing(world.installation.engines.records) as connection:
        for _ in range(210):
            log(connection, consent, Act(Actor.GATEWAY, "", "", world.now), world.now)
    world.move(consent, "revoke", Actor.OPERATOR)
    told = text_of(await world.browser.go(world.my(f"/consents/{consent_id}")))
    for words in ("机构请求授权", "贵单位同意授权", "机构主动放弃授权", "中间的 13 项没有列出"):
        assert words in told
    assert "含经过，中间的 13 项除外" in told
    assert "含全部经过" not in told
    receipt = await world.browser.go(world.my(f"/consents/{consent_id}/receipt-now"))
    _, claims = parts(receipt.text)
    assert (len(claims["history"]), claims["history_left_out"]) == (200, 13)
    assert [claims["history"][place]["state"] for place in (0, 1, -1)] == [
        "REQUESTED",
        "GRANTED",
        "REVOKED",
    ]


async def test_every_duty_to_remove_copies_is_told_and_of_many_the_first_to_be_reported(
    world: World,
) -> None:
    consent = world.given(world.terms((TAX,), data_life_seconds=3_600))
    began = world.now - 40 * 3_600
    with writing(world.installation.engines.records) as connection:
        for number in range(1, 31):
            life_until = began + number * 3_600
            owe(connection, consent, life_until, life_until, life_until)
    word = world.consents.acknowledge(
        consent.consent_id, consent.operator_id, world.now, "x", world.now
    )
    assert word == 30
    with writing(world.installation.engines.records) as connection:
        for number in range(31, 35):
            life_until = began + number * 3_600
            owe(connection, consent, life_until, life_until, life_until)
    await world.signed_in()
    address = world.my(f"/consents/{consent.consent_id}?lang=en")
    told = text_of(await world.browser.go(address))
    assert told.count("By their word it was gone on") == 16
    assert told.count("they must report it by") == 4
    assert "14 earlier duties are left out here; of 0 they have not reported." in told


async def test_what_was_shown_is_proved_whatever_the_operator_is_called_since(
    world: World,
) -> None:
    await world.signed_in()
    consent = world.ask(operator_id=BANK_ID, message="为审批贷款")
    shown = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    await world.send(shown, "/grant")
    rename(world.installation, BANK_ID, "改名银行（虚构）")
    await caught_up()
    page = await world.browser.go(world.my(f"/consents/{consent.consent_id}"))
    text = (await world.browser.follow(page, f"{consent.consent_id}/notice")).text
    receipt = (await world.browser.follow(page, f"{consent.consent_id}/receipt")).text
    _, claims = parts(receipt)
    assert claims["notice"]["text_digest"] == sha256(text.encode()).hexdigest()
    assert f"{BANK}请求查阅" in text
    assert "为审批贷款" in text
    assert claims["operator_name"] == BANK
    assert claims["operator_uscc"] in text
    rename(world.installation, BANK_ID, BANK)
    await caught_up()


async def test_receipts_are_nobody_elses(world: World) -> None:
    await world.signed_in()
    consent_id = await granted_by_page(world)
    refused = world.move(world.ask(), "refuse", Actor.SUBJECT)
    async with browser(world.installation) as stranger:
        await world.signed_in(ZHAO_QIAN, stranger)
        for which in ("receipt", "receipt-now", "notice"):
            path = f"/consents/{consent_id}/{which}"
            assert (await stranger.go(world.my(path))).status_code == 404
            assert (
                await world.browser.go(world.my(f"/consents/{refused.consent_id}/{which}"))
            ).status_code == 404


async def test_a_company_signs_its_receipt_by_a_key_it_registered(world: World) -> None:
    await world.signed_in()
    consent_id = await granted_by_page(world)
    key = OKPKey.generate_key("Ed25519")
    keys = await world.browser.go(world.my("/keys"))
    kept = await world.send(keys, "/keys", chosen={"jwk": json.dumps(key.as_dict(private=False))})
    assert key.thumbprint() in kept.text
    page = await world.browser.go(world.my(f"/consents/{consent_id}"))
    receipt = (await world.browser.go(world.my(f"/consents/{consent_id}/receipt"))).text

    def signed(what: str, by: OKPKey) -> str:
        whole = jws.serialize_compact({"alg": "Ed25519"}, what, by, algorithms=["Ed25519"])
        header, _, signature = whole.split(".")
        return f"{header}..{signature}"

    stranger = OKPKey.generate_key("Ed25519")
    for wrong in (signed("x", key), signed(receipt, stranger), "", "x", "a.b.c"):
        done = await world.send(page, "/signature", chosen={"signature": wrong})
        assert "签名没有通过验证" in done.text
    done = await world.send(page, "/signature", chosen={"signature": signed(receipt, key)})
    assert "签名已保存" in done.text
    assert (world.consents.get(consent_id)).subject_signature  # type: ignore[union-attr]
    removed = await world.send(kept, f"/keys/{key.thumbprint()}/remove")
    assert key.thumbprint() not in removed.text
    # From a page shown before: the first signature stands, and is told.
    again = await world.send(kept, "/keys", chosen={"jwk": json.dumps(stranger.as_dict(False))})
    assert stranger.thumbprint() in again.text
    first = world.consents.get(consent_id)
    other = await world.send(page, "/signature", chosen={"signature": signed(receipt, stranger)})
    assert other.status_code == 409
    assert world.consents.get(consent_id) == first
    told = text_of(await world.browser.go(world.my(f"/consents/{consent_id}")))
    await world.send(again, f"/keys/{stranger.thumbprint()}/remove")
    assert told.count("贵单位同意授权") == told.count("贵单位用自己的密钥签了凭证") == 1


@pytest.mark.parametrize(
    "entered",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"kty":"oct","k":"c2VjcmV0"}',
        '{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}',
        "[" * 4_000,
        json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)),
    ],
)
async def test_what_is_no_public_key_is_not_registered(world: World, entered: str) -> None:
    await world.signed_in()
    keys = await world.browser.go(world.my("/keys"))
    refused = await world.send(keys, "/keys", chosen={"jwk": entered})
    assert refused.status_code == 400
    assert "这不是可用的公钥" in refused.text
    assert not forms_of(refused, "/remove")


async def test_an_operators_name_is_shown_for_each(world: World) -> None:
    world.given(world.terms((INSURANCE,)), operator_id=BANK_ID)
    await world.signed_in()
    assert BANK in (await world.browser.go(world.my("/consents"))).text


async def test_a_key_that_was_removed_or_is_one_too_many_is_not_registered(world: World) -> None:
    await world.signed_in()

    async def registered(key: OKPKey) -> httpx.Response:
        page = await world.browser.go(world.my("/keys"))
        entered = {"jwk": json.dumps(key.as_dict(private=False))}
        return await world.send(page, "/keys", chosen=entered)

    keys = [OKPKey.generate_key("Ed25519") for _ in range(MOST_KEYS)]
    page = await world.browser.go(world.my("/keys"))
    for key in keys:
        page = await registered(key)
        assert key.thumbprint() in page.text
    assert (await registered(OKPKey.generate_key("Ed25519"))).status_code == 400
    for key in keys:
        page = await world.send(page, f"/keys/{key.thumbprint()}/remove")
    again = await registered(keys[0])
    assert again.status_code == 400
    assert "以前被移除过" in again.text
