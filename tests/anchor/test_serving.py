"""An anchor over HTTPS: what it answers, and how soon it tells of changes."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from gateway.federation.trust.chain import AnchorTrust, anchor_configuration
from gateway.federation.trust.news import MOST_WAIT_SECONDS, NEWS_PATH, News, verified_news
from gateway.federation.trust.statement import CONFIGURATION_PATH
from tests.federating import Anchor, running_anchor_at
from tests.federation.trust.signing import KEYS, LEAF

ROOTS = "-----BEGIN CERTIFICATE-----"


@pytest.fixture
async def anchor(tmp_path: Path) -> AsyncGenerator[Anchor]:
    async with running_anchor_at(tmp_path / "anchor") as running:
        running.home.change(
            lambda register: register.enrolled(LEAF, KEYS[LEAF].jwks, ROOTS, ("31",), 1),
            what="enrol",
            about=LEAF,
            by="test",
            why="test",
            now=1,
        )
        yield running


def client(anchor: Anchor) -> httpx.AsyncClient:
    context = ssl.create_default_context(cafile=anchor.home.ca)
    return httpx.AsyncClient(verify=context, base_url=anchor.entity_id, timeout=40)


def told(anchor: Anchor, answer: httpx.Response) -> News:
    assert answer.is_success
    keys = anchor.home.key().jwks
    return verified_news(answer.text, AnchorTrust(anchor.entity_id, keys), keys, int(time.time()))


async def test_an_anchor_shows_its_configuration_where_others_look_for_it(anchor: Anchor) -> None:
    async with client(anchor) as http:
        answer = await http.get(CONFIGURATION_PATH)
    assert answer.headers["content-type"] == "application/entity-statement+jwt"
    trust = AnchorTrust(anchor.entity_id, anchor.home.key().jwks)
    said = anchor_configuration(answer.text, trust, int(time.time()))
    endpoints = said.metadata["federation_entity"]
    assert set(endpoints) == {
        "federation_fetch_endpoint",
        "federation_list_endpoint",
        "federation_news_endpoint",
    }


async def test_an_anchor_answers_as_the_specification_has_it(anchor: Anchor) -> None:
    async with client(anchor) as http:
        listed = await http.get("/federation/list")
        assert listed.json() == [LEAF]
        fetched = await http.get("/federation/fetch", params={"sub": LEAF})
        assert fetched.headers["content-type"] == "application/entity-statement+jwt"
        for path, status, error in [
            ("/federation/fetch", 400, "invalid_request"),
            ("/federation/fetch?sub=https://nobody.example", 404, "not_found"),
            ("/federation/list?entity_type=x", 400, "unsupported_parameter"),
            (f"{NEWS_PATH}?after=x", 400, "invalid_request"),
            (f"{NEWS_PATH}?wait={MOST_WAIT_SECONDS + 1}", 400, "invalid_request"),
        ]:
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert (await http.post("/federation/fetch")).status_code == 405


async def test_a_question_for_news_is_answered_when_there_is_some(anchor: Anchor) -> None:
    async with client(anchor) as http:
        first = told(anchor, await http.get(NEWS_PATH))
        assert first.stands(LEAF, first.regions[LEAF])
        started = time.monotonic()
        nothing = told(anchor, await http.get(NEWS_PATH, params={"after": first.number, "wait": 1}))
        assert time.monotonic() - started >= 1
        assert nothing.number == first.number
        assert nothing.issued_at > first.issued_at
        query = {"after": str(first.number), "wait": "20"}
        asked = asyncio.create_task(http.get(NEWS_PATH, params=query))
        await asyncio.sleep(0.2)
        assert not asked.done()
        changed = time.monotonic()
        anchor.cut_off(LEAF)
        news = told(anchor, await asked)
        assert time.monotonic() - changed < 0.5
        assert LEAF in news.cut_off


async def test_an_anchor_that_cannot_read_its_register_says_nothing(anchor: Anchor) -> None:
    anchor.home.register_file.unlink()
    async with client(anchor) as http:
        for path in (CONFIGURATION_PATH, NEWS_PATH, "/federation/list", "/healthz"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]) == (
                503,
                "temporarily_unavailable",
            )
            assert str(anchor.home.root) not in answer.text
