"""The client's part of the FAPI 2.0 Security Profile, as the SDK keeps it."""

import asyncio
from base64 import urlsafe_b64decode
from pathlib import Path

import grpc
import pytest

from gateway.cli.code_flow import CodeFlow
from gateway.pki.development import make_ca
from sdk.credentials import Credentials, KeyCredentials, Profile
from sdk.dpop import ProofKey
from sdk.tokens import AsyncTokenSource, TokenRefused, TokenSource
from tests.installation import Installation
from tests.oauth.another_server import AnotherServer, claims_in
from tests.oauth.world import World

PROVEN = {"token_type": "DPoP"}
REDIRECT = "http://127.0.0.1:1/back"


def keyed(credentials: Credentials, *, certified: bool = False) -> KeyCredentials:
    """Return the same client with tokens bound to a key."""
    common = credentials.model_dump(exclude=set() if certified else {"certificate", "key"})
    return KeyCredentials(**common, dpop_key=credentials.signing_key)


async def ask_twice(profile: Profile) -> None:
    """Ask for a token with both sources of tokens, and again as if that had run out."""
    now = [0.0]
    source = AsyncTokenSource(profile, monotonic=lambda: now[0])
    blocking = TokenSource(profile, monotonic=lambda: now[0])
    for _ in range(2):
        now[0] += 3_600
        assert await source.token() == "t"
        assert await asyncio.to_thread(blocking.token) == "t"
    await source.close()
    blocking.close()


async def require_no_token(profile: Profile, why: str) -> None:
    """Fail unless both sources of tokens refuse, saying why."""
    source, blocking = AsyncTokenSource(profile), TokenSource(profile)
    with pytest.raises(TokenRefused, match=why):
        await source.token()
    with pytest.raises(TokenRefused, match=why):
        await asyncio.to_thread(blocking.token)
    await source.close()
    blocking.close()


async def test_nothing_is_sent_to_a_server_of_another_authority(
    embedded: Installation, tmp_path: Path
) -> None:
    other = tmp_path / "ca.pem"
    make_ca("another root", embedded.clock.now()).write(other, tmp_path / "ca.key")
    async with embedded.running() as gateway:
        profile = gateway.credentials().model_copy(update={"ca": other})
        await require_no_token(profile, "cannot be reached")
        tls = grpc.ssl_channel_credentials(
            other.read_bytes(), profile.key.read_bytes(), profile.certificate.read_bytes()
        )
        async with grpc.aio.secure_channel(profile.grpc, tls) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_nothing_is_sent_to_a_server_of_another_name(world: World) -> None:
    server = AnotherServer(world, host="127.0.0.2")
    async with server.serving() as credentials:
        await require_no_token(credentials, "cannot be reached")
    assert not server.asked


async def test_nothing_is_asked_where_the_metadata_names_another_issuer(world: World) -> None:
    server = AnotherServer(world, issuer="https://localhost:1")
    async with server.serving() as credentials:
        await require_no_token(credentials, "names another issuer")
    assert not server.asked


@pytest.mark.parametrize("issuer", ["http://localhost:1", "localhost:1", "ftp://localhost"])
def test_no_issuer_without_tls_is_taken(issuer: str) -> None:
    here = Path()
    with pytest.raises(ValueError, match="issuer"):
        Credentials(
            client_id="c", certificate=here, key=here, signing_key=here, ca=here,
            grpc="localhost:1", issuer=issuer,
        )  # fmt: skip


async def test_assertions_are_addressed_to_the_issuer_alone(world: World) -> None:
    server = AnotherServer(world)
    async with server.serving() as credentials:
        await ask_twice(credentials)
    assert [asked.assertion["aud"] for asked in server.asked] == [server.issuer] * 4
    assert len({asked.assertion["jti"] for asked in server.asked}) == 4


@pytest.mark.parametrize("aliased", [False, True])
async def test_who_shows_a_certificate_prefers_the_alias_of_the_endpoint(
    world: World, aliased: bool
) -> None:
    server = AnotherServer(world, aliased=aliased)
    async with server.serving() as credentials:
        await ask_twice(credentials)
    assert {asked.path for asked in server.asked} == {"/mtls" if aliased else "/token"}


@pytest.mark.parametrize("certified", [False, True])
async def test_who_shows_none_asks_the_usual_endpoint(world: World, certified: bool) -> None:
    server = AnotherServer(world, aliased=True, answer=PROVEN)
    async with server.serving() as credentials:
        await ask_twice(keyed(credentials, certified=certified))
    assert {asked.path for asked in server.asked} == {"/mtls" if certified else "/token"}
    for asked in server.asked:
        assert asked.proof["htu"] == f"{server.issuer}{asked.path}"


@pytest.mark.parametrize("token_type", ["Bearer", "DPoP"])
async def test_a_token_bound_to_another_thing_is_not_used(world: World, token_type: str) -> None:
    server = AnotherServer(world, answer={"token_type": token_type})
    async with server.serving() as credentials:
        profile = keyed(credentials) if token_type == "Bearer" else credentials
        await require_no_token(profile, "binds this client's tokens to another thing")


async def test_no_token_stands_in_a_query(world: World) -> None:
    server = AnotherServer(world)
    async with server.serving() as credentials:
        await ask_twice(credentials)
        flow = CodeFlow(credentials)
        begun = await asyncio.to_thread(flow.begin, REDIRECT, ("a:b",), {})
        answer = {"code": "c", "state": begun.state, "iss": server.issuer}
        tokens = await asyncio.to_thread(flow.finish, begun, answer)
        await asyncio.to_thread(flow.refreshed, "r")
        await asyncio.to_thread(flow.revoke, tokens.access_token)
        flow.close()
    assert [asked.path for asked in server.asked[4:]] == ["/push", "/token", "/token", "/revoke"]
    assert server.asked[-1].form["token"] == tokens.access_token
    assert [asked.query for asked in server.asked] == [""] * 8


async def test_proofs_have_the_newest_nonce(world: World) -> None:
    server = AnotherServer(world, answer=PROVEN)
    now = [0.0]
    async with server.serving() as credentials:
        source = AsyncTokenSource(keyed(credentials), monotonic=lambda: now[0])
        for _ in range(3):
            now[0] += 3_600
            await source.token()
        await source.close()
    assert [asked.proof.get("nonce") for asked in server.asked] == [None, "nonce-1", "nonce-2"]


def test_no_two_proofs_are_the_same(world: World) -> None:
    key = ProofKey.read((world.identity.folder / "signing.pem").read_bytes())
    proofs = [key.proof("POST", "https://localhost/oauth/token") for _ in range(200)]
    identifiers = {claims_in(proof)["jti"] for proof in proofs}
    assert len(identifiers) == len(proofs)
    assert {len(urlsafe_b64decode(f"{jti}==")) for jti in identifiers} == {16}
