"""The FAPI 2.0 Security Profile on the wire: TLS, who may ask at all, what is handed out."""

import asyncio
import socket
import ssl
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import grpc
import httpx
import pytest
import pytest_asyncio

from sdk.credentials import Credentials
from sdk.refusals import explain
from sdk.tokens import AsyncTokenSource
from tests.installation import Gateway, Installation, furnished
from tests.oauth.assertions import good_form
from tests.oauth.code_flow import flowing
from tests.oauth.world import World
from tests.server.calls import query
from tests.stores import SqliteStores

HOST = "127.0.0.1"
# BCP 195 (RFC 9325) section 4.2: the suites it recommends for TLS 1.2.
RECOMMENDED = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
}
HTTP_1 = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
TLS_ALERT = b"\x15"
FORMS = ("/oauth/token", "/oauth/par", "/oauth/introspect", "/oauth/revoke")
PUBLIC = ("/.well-known/oauth-authorization-server", "/oauth/jwks", "/oauth/authorize")
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """One gateway, which none of these tests changes."""
    with furnished(sqlite_stores) as installation:
        async with installation.running() as gateway:
            yield gateway


def ports(gateway: Gateway) -> list[int]:
    """Return the gateway's ports: of the authorisation server and of gRPC."""
    https = urlsplit(gateway.running.issuer).port
    assert https is not None
    return [https, int(gateway.running.grpc.rpartition(":")[2])]


async def given(credentials: Credentials) -> str:
    """Return a token of a client's own."""
    source = AsyncTokenSource(credentials)
    try:
        return await source.token()
    finally:
        await source.close()


def would_speak(gateway: Gateway, suites: str = "ALL") -> ssl.SSLContext:
    """Return TLS settings of a client that would take anything, however weak."""
    context = gateway.credentials().tls()
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def agreed(context: ssl.SSLContext, port: int) -> tuple[str, str] | None:
    """Return the TLS version and the suite a port agrees to; None when it takes nothing that is
    offered."""
    try:
        with (
            socket.create_connection((HOST, port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as secured,
        ):
            assert secured.compression() is None
            version, cipher = secured.version(), secured.cipher()
            assert version is not None
            assert cipher is not None
            return version, cipher[0]
    except (ssl.SSLError, ConnectionResetError):
        return None


async def test_no_port_answers_without_tls(standing: Gateway) -> None:
    for port in ports(standing):
        for request in (HTTP_1, HTTP_2):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(request)
            try:
                answer = await asyncio.wait_for(reader.read(64), 5)
            except ConnectionResetError:
                answer = b""
            writer.close()
            assert answer[:1] in (b"", TLS_ALERT)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_no_port_speaks_tls_older_than_1_2(standing: Gateway) -> None:
    for port in ports(standing):
        context = would_speak(standing)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert await asyncio.to_thread(agreed, context, port) is None
        context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
        found = await asyncio.to_thread(agreed, context, port)
        assert found is not None
        assert found[0] == "TLSv1.3"


async def test_tls_1_2_is_spoken_with_the_recommended_suites_alone(standing: Gateway) -> None:
    context = would_speak(standing)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    offered = {suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"}
    assert offered > RECOMMENDED
    for port in ports(standing):
        taken: set[str] = set()
        while left := offered - taken:
            # What was taken before is offered no more: so each that would be taken is found.
            context = would_speak(standing, ":".join(left))
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            found = await asyncio.to_thread(agreed, context, port)
            if found is None:
                break
            taken.add(found[1])
        assert taken
        assert taken <= RECOMMENDED


async def test_the_password_grant_is_refused(world: World) -> None:
    asked = {"grant_type": "password", "username": "somebody", "password": "something"}
    async with world.serving() as issuer:
        form = {**good_form(world.identity, issuer, world.clock.now()), **asked}
        response = await world.post(issuer, form, world.identity.certificate)
    assert (response.status_code, response.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("path", FORMS)
async def test_no_endpoint_serves_a_client_that_does_not_prove_itself(
    world: World, path: str
) -> None:
    form = {
        "client_id": world.identity.client_id,
        "grant_type": "client_credentials",
        "response_type": "code",
        "token": "something",
    }
    async with world.serving() as issuer:
        for certificate in (None, world.identity.certificate):
            response = await world.post(issuer, form, certificate, path)
            assert response.status_code in {400, 401}
            assert response.json()["error"] == "invalid_client"


@pytest.mark.parametrize("path", [*FORMS, *PUBLIC])
async def test_no_endpoint_lets_another_origin_read_its_answers(world: World, path: str) -> None:
    asking = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(None)) as http,
    ):
        for method in ("OPTIONS", "GET", "POST"):
            response = await http.request(method, f"{issuer}{path}", headers=asking)
            assert response.status_code != 404
            assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/oauth/authorize"),
        ("GET", "/oauth/jwks"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/healthz"),
        ("GET", "/nowhere"),
        ("GET", "/oauth/token"),
        ("POST", "/oauth/token"),
        ("POST", "/oauth/par"),
        ("POST", "/oauth/register"),
    ],
)
async def test_every_answer_carries_hsts(world: World, method: str, path: str) -> None:
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(None)) as http,
    ):
        response = await http.request(method, f"{issuer}{path}")
    (told,) = response.headers.get_list("strict-transport-security")
    assert int(told.partition("max-age=")[2]) >= 365 * 86_400


@pytest.mark.parametrize(
    "header",
    ["x-client-cert", "x-ssl-client-cert", "ssl-client-cert", "x-forwarded-client-cert",
     "client-cert", "x-amzn-mtls-clientcert"],
)  # fmt: skip
async def test_no_header_stands_in_for_a_certificate(world: World, header: str) -> None:
    certificate = (world.identity.folder / "certificate.pem").read_text()
    async with (
        world.serving() as issuer,
        httpx.AsyncClient(verify=world.trust(None)) as http,
    ):
        form = good_form(world.identity, issuer, world.clock.now())
        shown = {header: quote(certificate), "x-forwarded-proto": "https"}
        response = await http.post(f"{issuer}/oauth/token", data=form, headers=shown)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client")


async def test_what_is_handed_out_has_256_random_bits(world: World) -> None:
    async with flowing(world) as flow:
        handed_out: list[str] = []
        for _ in range(3):
            request_uri = await flow.pushed()
            code = await flow.code()
            tokens = (await flow.redeem(code)).json()
            handed_out += [request_uri.rpartition(":")[2], code, tokens["refresh_token"]]
    assert len(set(handed_out)) == len(handed_out)
    assert {len(urlsafe_b64decode(f"{secret}=")) for secret in handed_out} == {32}


GET_SUBJECT = "/creditgate.v1.CreditRecordService/GetSubjectRecords"


async def test_a_token_counts_in_the_authorization_header_alone(standing: Gateway) -> None:
    credentials = standing.credentials()
    token = await given(credentials)
    tls = grpc.ssl_channel_credentials(
        credentials.ca.read_bytes(),
        credentials.key.read_bytes(),
        credentials.certificate.read_bytes(),
    )
    async with grpc.aio.secure_channel(credentials.grpc, tls) as channel:
        for path, name in (
            (f"{GET_SUBJECT}?access_token={token}", "x-unused"),
            (GET_SUBJECT, "proxy-authorization"),
            (GET_SUBJECT, "access_token"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(path)(b"", metadata=((name, f"Bearer {token}"),))
            told = explain(refused.value)
            assert told.reason == "TOKEN_MISSING" or told.status == "UNIMPLEMENTED"
    async with httpx.AsyncClient(verify=credentials.tls()) as http:
        url = f"{credentials.issuer}/oauth/grants/any?access_token={token}"
        assert (await http.get(url)).status_code == 401


async def test_no_token_is_written_down(
    embedded: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    async with embedded.program(log_level="debug") as served:
        async with served.gateway.channel() as channel:
            await query(channel)
            with pytest.raises(grpc.aio.AioRpcError):
                await query(channel, "no code")
        token = await given(served.gateway.credentials())
    said = capfd.readouterr()
    assert "DEBUG" in said.err
    files = [path for path in embedded.folder.rglob("*") if path.is_file()]
    kept = [said.out.encode(), said.err.encode(), *(path.read_bytes() for path in files)]
    # Every token of this client begins alike; its signature is its own.
    for secret in (token[:12].encode(), token.rpartition(".")[2].encode()):
        assert not [content for content in kept if secret in content]


LOOPBACK = "http://127.0.0.1:4711/back?kept=1"


@pytest.mark.parametrize(
    ("uri", "taken"),
    [
        (LOOPBACK, True),
        (LOOPBACK.replace("4711", "65000"), True),
        (LOOPBACK.replace(":4711", ""), True),
        (LOOPBACK.replace("kept=1", "kept=2"), False),
        (LOOPBACK.replace("/back", "/elsewhere"), False),
        (LOOPBACK.replace("127.0.0.1", "[::1]"), False),
        (LOOPBACK.replace("127.0.0.1", "localhost"), False),
        (LOOPBACK.replace("127.0.0.1", "127.0.0.1.evil.test"), False),
        (LOOPBACK.replace("4711", "4711@evil.test"), False),
        (LOOPBACK.replace("4711", "04711"), False),
        (LOOPBACK.replace("4711", "471100"), False),
        (LOOPBACK.replace("http:", "https:"), False),
        (f"https://client.test:1/?{LOOPBACK}", False),
        ("https://client.test:444/back", False),
        ("https://client.test/back", True),
    ],
)
async def test_only_the_port_of_a_loopback_redirect_may_vary(
    world: World, uri: str, taken: bool
) -> None:
    registered = frozenset({LOOPBACK, "https://client.test/back"})
    async with flowing(world, redirect_uris=registered) as flow:
        response = await flow.push(redirect_uri=uri)
        assert response.status_code == (201 if taken else 400)
        if taken:
            url = flow.approved(await flow.opened(response.json()["request_uri"]))
            assert url is not None
            assert url.startswith(uri)
