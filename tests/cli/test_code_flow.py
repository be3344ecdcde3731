"""The command line as a client of the FAPI 2.0 Security Profile (section 5.3.3)."""

import asyncio
import hashlib
import http.client
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.cli.code_flow import Begun, CodeFlow
from gateway.cli.loopback import HOST, listening
from gateway.cli.signed_in import PersonTokens, SignedIn, keep, kept
from gateway.demo.ports import free_port
from sdk.credentials import Credentials
from sdk.tokens import TokenRefused
from tests.oauth.another_server import AnotherServer
from tests.oauth.world import World
from tests.stores import engines_of

REDIRECT = "http://127.0.0.1:1/back"


@pytest.fixture
def world(tmp_path: Path, sqlite_store: tuple[str, Path]) -> Iterator[World]:
    """A fresh installation on SQLite: nothing here depends on the kind of store."""
    with engines_of(*sqlite_store) as engines:
        yield World(tmp_path, engines.authority)


class Party(NamedTuple):
    """A client and the server it knows."""

    server: AnotherServer
    credentials: Credentials
    flow: CodeFlow

    async def begun(self, **more: str) -> Begun:
        """Begin a flow."""
        return await asyncio.to_thread(self.flow.begin, REDIRECT, ("a:b",), more)

    def answer(self, begun: Begun, **changed: str) -> dict[str, str]:
        """Return a good authorisation response."""
        return {"code": "c", "state": begun.state, "iss": self.server.issuer, **changed}


@pytest.fixture
async def party(world: World) -> AsyncIterator[Party]:
    """A client that knows its server."""
    server = AnotherServer(world)
    async with server.serving() as credentials:
        flow = CodeFlow(credentials)
        yield Party(server, credentials, flow)
        flow.close()


async def test_a_request_is_pushed_with_a_challenge_and_redeemed_with_its_verifier(
    party: Party,
) -> None:
    begun = await party.begun(acr_values="strong")
    url = urlsplit(begun.url)
    assert dict(parse_qsl(url.query)).keys() == {"client_id", "request_uri"}
    tokens = await asyncio.to_thread(party.flow.finish, begun, party.answer(begun))
    assert tokens.access_token == "t"
    pushed, redeemed = (asked.form for asked in party.server.asked)
    assert (pushed["response_type"], pushed["scope"], pushed["acr_values"]) == (
        "code", "a:b", "strong",
    )  # fmt: skip
    assert "request_uri" not in pushed
    assert pushed["code_challenge_method"] == "S256"
    digest = hashlib.sha256(redeemed["code_verifier"].encode()).digest()
    assert pushed["code_challenge"] == urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert len(redeemed["code_verifier"]) >= 43
    assert pushed["redirect_uri"] == redeemed["redirect_uri"] == REDIRECT
    assert (redeemed["grant_type"], redeemed["code"]) == ("authorization_code", "c")


async def test_each_request_has_a_challenge_and_a_state_of_its_own(party: Party) -> None:
    begun = [await party.begun() for _ in range(5)]
    pushed = [asked.form for asked in party.server.asked]
    assert len({one.state for one in begun}) == len({one.code_verifier for one in begun}) == 5
    assert len({one.url for one in begun}) == len({form["code_challenge"] for form in pushed}) == 5


async def test_every_endpoint_comes_from_the_metadata(party: Party) -> None:
    begun = await party.begun()
    assert begun.url.startswith(f"{party.server.issuer}/approve?")
    await asyncio.to_thread(party.flow.finish, begun, party.answer(begun))
    await asyncio.to_thread(party.flow.refreshed, "r")
    await asyncio.to_thread(party.flow.revoke, "r")
    assert [asked.path for asked in party.server.asked] == ["/push", "/token", "/token", "/revoke"]


async def test_endpoints_for_certificates_are_preferred(world: World) -> None:
    server = AnotherServer(world, aliased=True)
    async with server.serving() as credentials:
        flow = CodeFlow(credentials)
        party = Party(server, credentials, flow)
        begun = await party.begun()
        assert begun.url.startswith(f"{server.issuer}/approve?")
        await asyncio.to_thread(flow.finish, begun, party.answer(begun))
        await asyncio.to_thread(flow.revoke, "r")
        flow.close()
    assert [asked.path for asked in server.asked] == ["/mtls/push", "/mtls", "/mtls/revoke"]


async def test_assertions_are_addressed_to_the_issuer_alone(party: Party) -> None:
    begun = await party.begun()
    await asyncio.to_thread(party.flow.finish, begun, party.answer(begun))
    await asyncio.to_thread(party.flow.revoke, "r")
    asked = party.server.asked
    assert [one.assertion["aud"] for one in asked] == [party.server.issuer] * 3
    assert len({one.assertion["jti"] for one in asked}) == 3


@pytest.mark.parametrize(
    "changed",
    [{"iss": "https://elsewhere.example"}, {"iss": ""}, {"iss": "https://elsewhere.example", "error": "x"}],
)  # fmt: skip
async def test_an_answer_of_another_issuer_is_refused(
    party: Party, changed: dict[str, str]
) -> None:
    begun = await party.begun()
    with pytest.raises(TokenRefused, match="another server's answer"):
        await asyncio.to_thread(party.flow.finish, begun, party.answer(begun, **changed))
    assert [asked.path for asked in party.server.asked] == ["/push"]


async def test_nothing_is_asked_where_the_metadata_names_another_issuer(world: World) -> None:
    server = AnotherServer(world, issuer="https://localhost:1")
    async with server.serving() as credentials:
        flow = CodeFlow(credentials)
        with pytest.raises(TokenRefused, match="names another issuer"):
            await asyncio.to_thread(flow.begin, REDIRECT, (), {})
        flow.close()
    assert not server.asked


@pytest.mark.parametrize("again", [None, "r-2"])
async def test_a_sign_in_is_refreshed_with_the_token_it_has_and_with_a_new_one(
    world: World, tmp_path: Path, again: str | None
) -> None:
    answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 0}
    server = AnotherServer(world, answer=answer | ({"refresh_token": again} if again else {}))
    profile = tmp_path / "profile.json"
    async with server.serving() as credentials:
        signed_in = SignedIn(
            client_id=credentials.client_id, access_token="old", expires_at=0, refresh_token="r-1"
        )
        keep(profile, signed_in)
        tokens = PersonTokens(profile, credentials, signed_in)
        for _ in range(2):
            assert await tokens.token() == "t"
        await tokens.close()
    used = [asked.form["refresh_token"] for asked in server.asked]
    assert used == ["r-1", again or "r-1"]
    stored = kept(profile)
    assert stored is not None
    assert stored.refresh_token == (again or "r-1")


def asked_of(redirect_uri: str, target: str) -> tuple[int, str | None, str]:
    """Ask the loopback page as a browser; return status, where it sends one, and its text."""
    connection = http.client.HTTPConnection(HOST, urlsplit(redirect_uri).port or 0, timeout=5)
    connection.request("GET", target)
    response = connection.getresponse()
    said = response.status, response.headers["location"], response.read().decode()
    connection.close()
    return said


def free_redirect() -> str:
    """Return a redirect URI at a port nothing listens on."""
    return f"http://{HOST}:{free_port()}/back"


def test_only_the_answer_to_the_own_request_is_taken() -> None:
    with listening(free_redirect()) as loopback, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(loopback.wait, "own", 5)
        here = loopback.redirect_uri
        for strange in ("/back?code=x&state=other", "/back?code=x", "/else?code=x&state=own",
                        "/back?code=x&state=own&state=other"):  # fmt: skip
            assert asked_of(here, strange)[0] == 404
        assert asked_of(here, "/back?code=c&state=own&iss=i")[0] == 200
        assert waiting.result(5) == {"code": "c", "state": "own", "iss": "i"}


def test_the_redirect_page_sends_nobody_anywhere() -> None:
    with listening(free_redirect()) as loopback, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(loopback.wait, "own", 5)
        evil = "https%3A%2F%2Fevil.example"
        for target in (f"/back?next={evil}", f"//{evil}", f"/back?redirect_uri={evil}&state=own"):
            _, location, text = asked_of(loopback.redirect_uri, target)
            assert location is None
            assert "evil" not in text
        assert waiting.result(5) is not None
