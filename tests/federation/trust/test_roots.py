"""Authorities of admitted regions open connections while the gateway runs, and no others do."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.federation.trust.authorities import read_authorities
from gateway.federation.trust.roots import (
    MOST_NAMES_BYTES,
    ClientRoots,
    FollowingContext,
    following_grpc_tls,
)
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
from tests.pki.named import named_as

NOTHING: Final = Regions()


WEST: Final = "https://west.example"


def of(authority: Issued, *, admitted: bool = True) -> Regions:
    """Return a region of that authority, as known and admitted or not."""
    region = known(roots=authority.certificate.decode())
    admissions = {region.client_id: admission()} if admitted else {}
    return Regions({region.client_id: region}, admissions)


def beside(regions: Regions, roots: str, admitted_at: int = NOW) -> Regions:
    """Return regions with another one, which says that ``roots`` are its authorities."""
    west = known(WEST, roots=roots)
    return Regions(
        {**regions.known, west.client_id: west},
        {
            **regions.admissions,
            west.client_id: admission(WEST, "west", admitted_at=admitted_at),
        },
    )


def stands(_: str) -> bool:
    return True


NO_CERTIFICATE: Final = (
    "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n"
)
_numbers: Final = count()


def long_name(parts: int = 11) -> x509.Name:
    """Return a name that nobody else has, of 75 bytes for each part."""
    units = [f"{next(_numbers):064d}" for _ in range(parts)]
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units])


class Files:
    """Two authorities, a server of the first, and clients of both."""

    def __init__(self, folder: Path) -> None:
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
    async with serving(files, ClientRoots(files.ca, lambda: state[0], stands)) as port:
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
    following = FollowingContext(context, ClientRoots(files.ca, lambda: state[0], stands))

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
    both = beside(of(files.other), files.other.certificate.decode())
    roots = ClientRoots(files.ca, lambda: both, stands)
    assert roots.of_regions() == (files.other.certificate,)
    assert roots.own() == files.own.certificate


def hostile(files: Files) -> dict[str, str]:
    """What a region may say its authorities are, to keep others out."""
    third = make_ca("third", int(time.time())).certificate.decode()
    return {
        "what ends a reading": f"!\n{third}{NO_CERTIFICATE}",
        "nothing that can be read": third.replace("MII", "AAA", 1),
        "a name of the gateway's own": named_as(files.own),
        "that name without a key id": named_as(files.own, key_id=False),
        "a name of another region's": named_as(files.other),
        "that other name without a key id": named_as(files.other, key_id=False),
        "a name in other letters": named_as(
            files.other,
            subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "  OTHER ")]),
        ),
        "names that fill the list": "".join(
            named_as(files.other, subject=long_name()) for _ in range(16)
        ),
    }


@pytest.mark.parametrize("admitted_at", [NOW + 1, NOW - 1], ids=["later", "earlier"])
async def test_no_authority_of_one_region_keeps_another_or_the_gateways_own_clients_out(
    files: Files, admitted_at: int
) -> None:
    said = hostile(files)
    if admitted_at < NOW:
        # Whoever was admitted first has its names; people looked at those of both.
        said = {why: each for why, each in said.items() if "other" not in why}
    state = [of(files.other)]
    async with serving(files, ClientRoots(files.ca, lambda: state[0], stands)) as port:
        for why, roots in said.items():
            state[0] = beside(of(files.other), roots, admitted_at)
            assert await connects(files, port, files.theirs), why
            assert await connects(files, port, files.mine), why


async def test_over_https_no_authority_of_one_region_keeps_anothers_from_being_taken(
    files: Files,
) -> None:
    (own,), (other,) = (
        read_authorities(one.certificate.decode()) for one in (files.own, files.other)
    )
    for why, roots in hostile(files).items():
        state = beside(of(files.other), roots, NOW + 1)
        context = tls_context(files.certificate, files.key, files.ca)
        known = partial(_same, state)
        await FollowingContext(context, ClientRoots(files.ca, known, stands)).step()
        taken = context.get_ca_certs(binary_form=True)
        assert other.der in taken, why
        for der in taken:
            (one,) = read_authorities(ssl.DER_cert_to_PEM_cert(der))
            assert not one.may_hide(own), why
            assert not one.may_hide(other), why


def _same(regions: Regions) -> Regions:
    return regions


async def test_a_region_that_the_anchor_cut_off_has_no_authority_in_new_connections(
    files: Files,
) -> None:
    standing = {ENTITY}
    state = of(files.other)
    roots = ClientRoots(files.ca, lambda: state, lambda entity_id: entity_id in standing)
    async with serving(files, roots) as port:
        assert await connects(files, port, files.theirs)
        standing.clear()
        assert not await connects(files, port, files.theirs)
        assert await connects(files, port, files.mine)
        standing.add(ENTITY)
        assert await connects(files, port, files.theirs)


def test_long_names_have_the_room_that_others_leave(files: Files) -> None:
    def long() -> str:
        return "".join(named_as(files.other, subject=long_name()) for _ in range(3))

    state = beside(of(files.other), long())
    roots = ClientRoots(files.ca, lambda: state, stands)
    assert len(roots.of_regions() or ()) == 4
    crowd = state
    for number in range(40):
        entity = f"https://north{number}.example"
        each = known(entity, roots=long())
        crowd = Regions(
            {**crowd.known, each.client_id: each},
            {**crowd.admissions, each.client_id: admission(entity, f"n-{number}")},
        )
    state = crowd
    of_all = roots.of_regions() or ()
    assert files.other.certificate in of_all
    names = sum(read_authorities(pem.decode())[0].name_bytes + 2 for pem in of_all)
    assert names <= MOST_NAMES_BYTES


def test_an_authority_with_a_longer_name_than_any_needs_is_refused(files: Files) -> None:
    assert read_authorities(named_as(files.other, subject=long_name(13)))
    with pytest.raises(ValueError, match="name"):
        read_authorities(named_as(files.other, subject=long_name(14)))
