"""Authorities of admitted regions open connections while the gateway runs, and no others do."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from gateway.federation.trust.roots import ClientRoots, FollowingContext, following_grpc_tls
from gateway.oauth.connection import tls_context
from gateway.pki.development import (
    Issued,
    make_ca,
    make_client_certificate,
    make_server_certificate,
)
from operators.regions import Regions
from tests.clock import NOW
from tests.operators.regions import ENTITY, admission, known

NOTHING: Final = Regions()


def of(authority: Issued, *, admitted: bool = True) -> Regions:
    """Return a region of that authority, as known and admitted or not."""
    region = known(roots=authority.certificate.decode())
    admissions = {region.client_id: admission()} if admitted else {}
    return Regions({region.client_id: region}, admissions)


class Files:
    """Two authorities, a server of the first, and clients of both."""

    def __init__(self, folder: Path) -> None:
        import time

        now = int(time.time())
        self.own, self.other = make_ca("own", now), make_ca("other", now)
        self.ca, self.certificate, self.key = (folder / name for name in ("ca", "pem", "key"))
        self.own.write(self.ca, folder / "ca.key")
        make_server_certificate(self.own, now).write(self.certificate, self.key)
        self.mine = make_client_certificate(self.own, "mine", now)
        self.theirs = make_client_certificate(self.other, "theirs", now)
        self.theirs.write(folder / "theirs.pem", folder / "theirs.key")
        self.folder = folder


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


async def connects(files: Files, port: int, client: Issued) -> bool:
    credentials = grpc.ssl_channel_credentials(
        files.own.certificate, client.key, client.certificate
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    address = f"localhost:{port}"
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        try:
            return await channel.unary_unary("/a/b")(b"x", timeout=5) == b"x"
        except grpc.aio.AioRpcError:
            return False


@asynccontextmanager
async def serving(files: Files, roots: ClientRoots) -> AsyncGenerator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    tls = following_grpc_tls(files.key, files.certificate, roots)
    port = server.add_secure_port("localhost:0", tls)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def test_a_grpc_server_knows_a_region_from_its_admission_to_its_dismissal(
    files: Files,
) -> None:
    state = [NOTHING]
    async with serving(files, ClientRoots(files.ca, lambda: state[0])) as port:
        assert await connects(files, port, files.mine)
        assert not await connects(files, port, files.theirs)
        state[0] = of(files.other, admitted=False)
        assert not await connects(files, port, files.theirs)
        state[0] = of(files.other)
        assert await connects(files, port, files.theirs)
        assert await connects(files, port, files.mine)
        dismissed = admission(dismissed_at=NOW)
        state[0] = Regions(state[0].known, {dismissed.client_id: dismissed})
        assert not await connects(files, port, files.theirs)
        assert await connects(files, port, files.mine)


async def test_an_https_server_takes_the_authority_of_a_region_in_while_it_runs(
    files: Files,
) -> None:
    state = [NOTHING]
    context = tls_context(files.certificate, files.key, files.ca)
    following = FollowingContext(context, ClientRoots(files.ca, lambda: state[0]))

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(echo, "localhost", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    client = ssl.create_default_context(cadata=files.own.certificate.decode())
    client.load_cert_chain(files.folder / "theirs.pem", files.folder / "theirs.key")

    async def connected() -> bool:
        try:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=client)
            writer.write(b"x")
            answer = await reader.read(1)
            writer.close()
        except (ssl.SSLError, ConnectionError):
            return False
        return answer == b"x"

    async with server:
        await following.step()
        assert not await connected()
        state[0] = of(files.other)
        assert not await connected()
        await following.step()
        assert await connected()
        # Taken in once, though every change of a region is looked at.
        state[0] = of(files.other)
        await following.step()
        assert await connected()


def test_an_authority_is_named_once_however_many_regions_have_it(files: Files) -> None:
    other = "https://west.example"
    regions = of(files.other)
    west = known(other, roots=files.other.certificate.decode())
    both = Regions(
        {**regions.known, west.client_id: west},
        {**regions.admissions, west.client_id: admission(other, "west")},
    )
    roots = ClientRoots(files.ca, lambda: both)
    assert roots.all(both).count(b"BEGIN CERTIFICATE") == 2
    assert other != ENTITY
