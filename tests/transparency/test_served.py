"""The log as a running gateway serves it: over gRPC, and as files over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import httpx
import pytest
import pytest_asyncio

from creditgate.transparency.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from creditgate.transparency.note import VerifierKey, open_checkpoint
from creditgate.transparency.tiles import Tile, tile_path
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.disclose.store import DisclosureStore
from gateway.transparency.identity import AnotherLog
from sdk.refusals import explain
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    OPERATOR_CLIENT,
    PUBLISHER,
    Gateway,
    Installation,
    company,
    eventually,
    furnished,
)
from tests.server.calls import draft, publish
from tests.stores import SqliteStores
from tests.transparency.monitor import checkpoint_of, entries, files_of, logged

pytestmark = rarely_on_postgresql

of_module = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Site:
    """A gateway, the files of its disclosure's log and who publishes."""

    gateway: Gateway
    files: httpx.AsyncClient
    publisher: grpc.aio.Channel

    @property
    def head(self) -> int:
        """The newest event."""
        return DisclosureStore(self.gateway.installation.engines.records).head()

    async def published(self, name: str, number: int) -> None:
        """Publish so many records, each of a company of its own."""
        await publish(self.publisher, [draft(f"{name}-{n}", company(n)) for n in range(number)])


@asynccontextmanager
async def opened(installation: Installation) -> AsyncGenerator[Site]:
    """Run an installation."""
    async with (
        installation.running() as gateway,
        files_of(gateway) as files,
        gateway.channel(PUBLISHER) as publisher,
    ):
        yield Site(gateway, files, publisher)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A gateway on each kind of store, whose log grows by hundreds."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with furnished(request.getfixturevalue(kind)) as installation:
        async with opened(installation) as site:
            yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small(sqlite_stores: SqliteStores) -> AsyncIterator[Site]:
    """A gateway whose log stays shorter than a tile."""
    with furnished(sqlite_stores) as installation:
        installation.license("beta", "L-BETA")
        installation.enrol("beta-one", ClientRole.CLIENT_ROLE_OPERATOR, "beta")
        async with opened(installation) as site:
            yield site


@of_module
async def test_a_monitor_rebuilds_the_log_from_its_files(site: Site) -> None:
    files, head = site.files, site.head
    await logged(files, head)
    for batch in range(3):
        await site.published(f"r-{batch}", 120)
        await asyncio.sleep(0.25)
    checkpoint = await logged(files, head + 360)
    found = await entries(files, checkpoint.size)
    assert root_of([leaf_hash(entry) for entry in found]) == checkpoint.root
    decoded = [DisclosureLogEntry.FromString(entry) for entry in found]
    events = [entry.event for entry in decoded if entry.HasField("event")]
    assert [event.event_sequence for event in events] == list(range(1, head + 361))
    assert len({event.commitment for event in events}) == head + 360
    heads = [entry.map_head.event_sequence for entry in decoded if entry.HasField("map_head")]
    assert heads == sorted(heads)
    # Neither who nor what is in the files: they are public for ever (G11).
    everything = b"".join(found)
    assert company(1).encode() not in everything
    assert b"r-0-1" not in everything


@always_on_postgresql
@of_module
async def test_proofs_over_grpc_hold_against_the_checkpoints(site: Site) -> None:
    files, head = site.files, site.head
    key = VerifierKey.parse((await files.get("key")).text)
    await site.published("a", 5)
    first = await logged(files, head + 5)
    await site.published("b", 300)
    await logged(files, head + 305)
    async with site.gateway.channel(OPERATOR_CLIENT) as channel:
        stub = DisclosureServiceStub(channel)
        latest = open_checkpoint(
            (await stub.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint, key
        )
        for tree_size, event in (
            (0, 1),
            (0, head + 200),
            (first.size, head + 5),
            (first.size + 7, head + 3),
        ):
            proof = await stub.GetInclusionProof(
                pb.GetInclusionProofRequest(event_sequence=event, tree_size=tree_size)
            )
            assert proof.leaf_hash == leaf_hash(proof.entry)
            entry = DisclosureLogEntry.FromString(proof.entry).event
            assert entry.event_sequence == event
            assert proof.tree_size == tree_size or latest.size
            if proof.checkpoint:
                root = open_checkpoint(proof.checkpoint, key).root
                verify_inclusion(
                    proof.log_index,
                    proof.tree_size,
                    proof.leaf_hash,
                    list(proof.audit_path),
                    root,
                )
            assert bool(proof.checkpoint) == (tree_size != first.size + 7)
        joined = await stub.GetConsistencyProof(
            pb.GetConsistencyProofRequest(first_tree_size=first.size)
        )
    second = open_checkpoint(joined.checkpoint, key)
    verify_consistency(first.size, second.size, first.root, second.root, list(joined.proof))


async def refused(call: Awaitable[object]) -> tuple[str, str]:
    """Return status and reason of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    told = explain(caught.value)
    return told.status, told.reason


@of_module
async def test_what_cannot_be_proved_is_refused_with_its_field(small: Site) -> None:
    size = (await logged(small.files, 0)).size
    async with small.gateway.channel(OPERATOR_CLIENT) as channel:
        stub = DisclosureServiceStub(channel)
        invalid = ("INVALID_ARGUMENT", "INVALID_REQUEST")
        for request in (
            pb.GetInclusionProofRequest(event_sequence=0),
            pb.GetInclusionProofRequest(event_sequence=1, tree_size=-1),
            pb.GetInclusionProofRequest(event_sequence=1, tree_size=size + 1_000),
        ):
            assert await refused(stub.GetInclusionProof(request)) == invalid
        for asked in ((0, 0), (-1, 0), (size, size + 1_000), (size + 1, size)):
            request = pb.GetConsistencyProofRequest(
                first_tree_size=asked[0], second_tree_size=asked[1]
            )
            assert await refused(stub.GetConsistencyProof(request)) == invalid
        unknown = pb.GetInclusionProofRequest(event_sequence=2**62)
        assert await refused(stub.GetInclusionProof(unknown)) == (
            "NOT_FOUND",
            "RESOURCE_NOT_FOUND",
        )


@of_module
async def test_public_methods_need_a_client_and_no_scope(small: Site) -> None:
    gateway = small.gateway
    await logged(small.files, 0)
    # A token for anything else will do, a suspended operator's too ...
    gateway.installation.suspend("beta")
    async with gateway.channel("beta-one", scopes=("credit.conformance:attest",)) as channel:
        stub = DisclosureServiceStub(channel)
        assert (await stub.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint
    # ... but none will not.
    credentials = gateway.credentials("beta-one")
    tls = grpc.ssl_channel_credentials(
        credentials.ca.read_bytes() if credentials.ca else None,
        credentials.key.read_bytes(),
        credentials.certificate.read_bytes(),
    )
    async with grpc.aio.secure_channel(gateway.running.grpc, tls) as bare:
        call = DisclosureServiceStub(bare).GetCheckpoint(pb.GetCheckpointRequest())
        assert await refused(call) == ("UNAUTHENTICATED", "TOKEN_MISSING")


@of_module
async def test_files_that_are_not_there_are_not_found_nor_kept(small: Site) -> None:
    files = small.files
    assert (await logged(files, 0)).size < 200
    for path in (
        "tile/0/001",
        "tile/9/000.p/1",
        "tile/0/000.p/200",
        "tile/0/0",
        "tile/entries/000",
        "tile/",
        "tile/0/" + "x999/" * 6 + "999",
    ):
        response = await files.get(path)
        assert response.status_code == 404, path
        assert "immutable" not in response.headers.get("Cache-Control", "")
    checkpoint = await files.get("checkpoint")
    assert checkpoint.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["Cache-Control"] == "no-cache"


@of_module
async def test_what_operators_did_is_told_to_no_stranger(small: Site) -> None:
    async with (
        files_of(small.gateway, "decisions") as files,
        small.gateway.channel(OPERATOR_CLIENT) as channel,
    ):
        request = pb.GetInclusionProofRequest(event_sequence=0)
        await refused(DisclosureServiceStub(channel).GetInclusionProof(request))

        async def decided() -> bool:
            return (await checkpoint_of(files)).size > 0

        await eventually(decided, 15.0)
        size = (await checkpoint_of(files)).size
        assert len((await files.get(f"tile/0/000.p/{size}")).content) == 32 * size
        assert (await files.get(f"tile/entries/000.p/{size}")).status_code == 404


@of_module
async def test_entries_come_zipped_to_who_takes_them_so(small: Site) -> None:
    files, head = small.files, small.head
    await small.published("r", 60)
    size = (await logged(files, head + 60)).size
    path = tile_path(Tile(None, 0, size))
    zipped = await files.get(path, headers={"Accept-Encoding": "gzip"})
    plain = await files.get(path, headers={"Accept-Encoding": "identity"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert zipped.content == plain.content


async def test_a_log_keeps_origin_and_key_when_its_address_changes(
    embedded: Installation,
) -> None:
    async with embedded.running() as gateway, files_of(gateway) as files:
        first = await logged(files, 0)
        key = (await files.get("key")).text
    async with embedded.running() as gateway, files_of(gateway) as files:
        # Another free port, so another issuer.
        assert (await files.get("key")).text == key
        assert (await checkpoint_of(files)).origin == first.origin


async def test_a_gateway_without_the_logs_key_or_salts_does_not_start(
    embedded: Installation,
) -> None:
    async with embedded.running() as gateway, files_of(gateway) as files:
        await logged(files, 0)
    for lost in ("log-disclosure.pem", "salts.key"):
        file = embedded.home.keys / lost
        kept = file.rename(file.with_suffix(".kept"))
        with pytest.raises(AnotherLog, match="restore"):
            async with embedded.running():
                pass
        kept.rename(file)
