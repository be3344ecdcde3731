"""Usage logs as operators and administrators see them, over the wire."""

import asyncio
import json
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, JWKRegistry

from creditgate.transparency.merkle import leaf_hash, verify_consistency, verify_inclusion
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.transparency.receipts import COSIGNATURE_TYPE, usage_log_key
from creditgate.transparency.strict import strictly
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.usage_log_pb2 import UsageLeaf
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.usage.check import check_usage
from sdk.refusals import explain
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    Gateway,
    Installation,
    company,
    furnished,
)
from tests.receipts import verified
from tests.server.calls import draft, publish, query
from tests.stores import PostgresStores, SqliteStores

if TYPE_CHECKING:
    from creditgate.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
OTHER = "other-client"
OTHER_ID = "other"
_numbers = count(900)


@dataclass
class Desk:
    """A gateway, those who call it, and the key they pinned."""

    installation: Installation
    gateway: Gateway
    key: VerifierKey
    operator: grpc.aio.Channel
    publisher: grpc.aio.Channel
    usage: "UsageServiceAsyncStub"
    others: "UsageServiceAsyncStub"
    audit: "UsageServiceAsyncStub"

    async def use(self) -> tuple[GetSubjectRecordsResponse, UsageLeaf, str]:
        """Publish and serve a record; return answer, leaf of its receipt, and the entry's name."""
        subject, request_id = company(next(_numbers)), uuid4().hex
        await publish(self.publisher, [draft(f"r-{uuid4().hex}", subject)])
        answer = await query(self.operator, subject, items=[PUBLIC_ITEM], request_id=request_id)
        listed = await self.usage.ListUsage(pb.ListUsageRequest(request_id=request_id))
        return answer, verified(answer.receipt.usage, self.key), listed.entries[0].name

    def checkpoint(self, note: str, operator_id: str = OPERATOR_ID) -> Checkpoint:
        """Return a checkpoint of a usage log, verified by what was pinned."""
        return open_checkpoint(note, usage_log_key(self.key, operator_id))

    async def newest(self) -> str:
        """Return the newest checkpoint of the operator's log, after one more use."""
        _, _, name = await self.use()
        return (await self.usage.GetUsageProof(pb.GetUsageProofRequest(name=name))).checkpoint

    def cosignature(self, checkpoint: str, **changes: Any) -> str:
        """Return what the operator's client signs."""
        profile = self.gateway.credentials(OPERATOR_CLIENT)
        key = ECKey.import_key(profile.signing_key.read_bytes())
        digest = urlsafe_b64encode(sha256(checkpoint.encode()).digest()).rstrip(b"=").decode()
        claims = {
            "iss": OPERATOR_CLIENT,
            "sub": OPERATOR_ID,
            "iat": int(time.time()),
            "checkpoint_sha256": digest,
        }
        header = {"alg": "ES256", "typ": changes.pop("typ", COSIGNATURE_TYPE)}
        return jwt.encode(header, claims | changes, key, algorithms=["ES256"])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest) -> AsyncGenerator[Desk]:
    """A desk on each kind of store."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    stores: SqliteStores | PostgresStores = request.getfixturevalue(name)
    async with AsyncExitStack() as stack:
        installation = stack.enter_context(furnished(stores))
        installation.license(OTHER_ID, "L-OTHER")
        installation.enrol(OTHER, ClientRole.CLIENT_ROLE_OPERATOR, OTHER_ID)
        gateway = await stack.enter_async_context(installation.running())
        operator, publisher, other, administrator = [
            await stack.enter_async_context(gateway.channel(client))
            for client in (OPERATOR_CLIENT, PUBLISHER, OTHER, ADMINISTRATOR)
        ]
        tls = ssl.create_default_context(cafile=installation.home.ca)
        async with httpx.AsyncClient(verify=tls) as http:
            key = await http.get(f"{gateway.running.issuer}/log/usage/key")
        yield Desk(
            installation,
            gateway,
            VerifierKey.parse(key.text),
            operator,
            publisher,
            UsageServiceStub(operator),  # pyright: ignore[reportArgumentType]
            UsageServiceStub(other),  # pyright: ignore[reportArgumentType]
            UsageServiceStub(administrator),  # pyright: ignore[reportArgumentType]
        )


def _reason(error: grpc.aio.AioRpcError) -> str:
    return explain(error).reason


@always_on_postgresql
async def test_use_is_proved_by_what_its_receipt_promised(desk: Desk) -> None:
    _, promised, name = await desk.use()
    for seen_by in (desk.usage, desk.audit):
        proof = await seen_by.GetUsageProof(pb.GetUsageProofRequest(name=name))
        assert strictly(UsageLeaf, proof.leaf) == promised
        # By the name of the use, and by that its line has in an exported event.
        use = name.rpartition("-")[0]
        for other in (use, f"{use}/lines/0"):
            same = await seen_by.GetUsageProof(pb.GetUsageProofRequest(name=other))
            assert same.leaf == proof.leaf
        assert proof.usage_index == promised.usage_index
        checkpoint = desk.checkpoint(proof.checkpoint)
        verify_inclusion(
            proof.usage_index,
            checkpoint.size,
            leaf_hash(proof.leaf),
            [*proof.audit_path],
            checkpoint.root,
        )


async def test_operator_sees_its_own_log_only(desk: Desk) -> None:
    _, _, name = await desk.use()
    for asking, request, reason in (
        (desk.others, pb.GetUsageProofRequest(name=name), "SCOPE_NOT_GRANTED"),
        (
            desk.usage,
            pb.GetUsageProofRequest(name=name.rpartition("-")[0] + "-9"),
            "RESOURCE_NOT_FOUND",
        ),
        (
            desk.others,
            pb.GetUsageProofRequest(name=name.replace(OPERATOR_ID, OTHER_ID)),
            "RESOURCE_NOT_FOUND",
        ),
        (desk.usage, pb.GetUsageProofRequest(name="usage/1"), "INVALID_REQUEST"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asking.GetUsageProof(request)
        assert _reason(caught.value) == reason
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await desk.others.ListUsageLeaves(pb.ListUsageLeavesRequest(operator_id=OPERATOR_ID))
    assert _reason(caught.value) == "SCOPE_NOT_GRANTED"
    nothing = await desk.others.ListUsageLeaves(pb.ListUsageLeavesRequest())
    assert nothing == pb.ListUsageLeavesResponse()


async def test_leaves_are_listed_with_a_proof_that_the_log_only_grew(desk: Desk) -> None:
    before = desk.checkpoint(await desk.newest())
    after = desk.checkpoint(await desk.newest())
    assert after.size > before.size
    leaves: list[bytes] = []
    while len(leaves) < after.size:
        page = await desk.audit.ListUsageLeaves(
            pb.ListUsageLeavesRequest(
                operator_id=OPERATOR_ID,
                start_index=len(leaves),
                page_size=2,
                consistent_with=before.size,
            )
        )
        latest = desk.checkpoint(page.checkpoint)
        verify_consistency(
            before.size, latest.size, before.root, latest.root, [*page.consistency_proof]
        )
        leaves += page.leaves
    assert [strictly(UsageLeaf, leaf).usage_index for leaf in leaves] == [*range(len(leaves))]
    for wrong in (
        pb.ListUsageLeavesRequest(start_index=-1),
        pb.ListUsageLeavesRequest(start_index=10**9),
        pb.ListUsageLeavesRequest(consistent_with=10**9),
        pb.ListUsageLeavesRequest(page_size=1_001),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await desk.usage.ListUsageLeaves(wrong)
        assert _reason(caught.value) == "INVALID_REQUEST"


async def test_newest_cosignature_is_kept_with_the_key_that_verifies_it(desk: Desk) -> None:
    older = await desk.newest()
    newer = await desk.newest()
    for checkpoint in (older, newer, older):
        kept = await desk.usage.CosignUsage(
            pb.CosignUsageRequest(checkpoint=checkpoint, cosignature=desk.cosignature(checkpoint))
        )
        assert kept.size == desk.checkpoint(checkpoint).size
    shown = await desk.audit.GetUsageCosignature(
        pb.GetUsageCosignatureRequest(operator_id=OPERATOR_ID)
    )
    assert (shown.checkpoint, shown.size) == (newer, desk.checkpoint(newer).size)
    claims = jwt.decode(
        shown.cosignature, JWKRegistry.import_key(json.loads(shown.jwk)), algorithms=["ES256"]
    ).claims
    digest = urlsafe_b64encode(sha256(newer.encode()).digest()).rstrip(b"=").decode()
    assert claims["checkpoint_sha256"] == digest
    assert "d" not in json.loads(shown.jwk)
    assert check_usage(desk.installation.engines).faults == []
    none = await desk.others.GetUsageCosignature(pb.GetUsageCosignatureRequest())
    assert none == pb.GetUsageCosignatureResponse()


async def test_cosignature_of_anything_else_is_refused(desk: Desk) -> None:
    note = await desk.newest()
    good = desk.cosignature(note)
    head, payload, signature = good.split(".")
    for checkpoint, cosignature, field in (
        ("", good, "checkpoint"),
        (note + "x", good, "checkpoint"),
        (note.replace("\n", "\n\n", 1), good, "checkpoint"),
        (note, "", "cosignature"),
        (note, "a.b.c", "cosignature"),
        (note, f"{head}.{payload}.{signature[:-4]}AAAA", "cosignature"),
        (note, desk.cosignature(note, typ="JWT"), "cosignature"),
        (note, desk.cosignature(note, iss="another"), "cosignature"),
        (note, desk.cosignature(note, sub=OTHER_ID), "cosignature"),
        (note, desk.cosignature(note, checkpoint_sha256="x"), "cosignature"),
        (note, desk.cosignature(note, iat=int(time.time()) - 3_600), "cosignature"),
        (note, "a" * 5_000, "cosignature"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await desk.usage.CosignUsage(
                pb.CosignUsageRequest(checkpoint=checkpoint, cosignature=cosignature)
            )
        told = explain(caught.value)
        assert (told.reason, [each.field for each in told.violations]) == (
            "INVALID_REQUEST",
            [field],
        )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await desk.others.CosignUsage(pb.CosignUsageRequest(checkpoint=note, cosignature=good))
    assert _reason(caught.value) == "INVALID_REQUEST"


@always_on_postgresql
async def test_stream_tells_every_entry_behind_the_last_received(desk: Desk) -> None:
    _, _, first = await desk.use()
    _, _, second = await desk.use()
    stream = desk.usage.StreamUsage(pb.StreamUsageRequest(after=first))
    assert await _told(stream, 1) == [second]
    _, _, third = await desk.use()
    assert await _told(stream, 1) == [third]
    stream.cancel()
    from_now = desk.audit.StreamUsage(pb.StreamUsageRequest(operator_id=OPERATOR_ID))
    reading = asyncio.create_task(_told(from_now, 3))
    names: list[str] = []
    while not reading.done():
        _, _, name = await desk.use()
        names.append(name)
    seen = await reading
    assert seen == names[names.index(seen[0]) :][:3]
    from_now.cancel()
    for wrong, reason in (
        (pb.StreamUsageRequest(after="usage/1"), "INVALID_REQUEST"),
        (
            pb.StreamUsageRequest(after=f"operators/{OPERATOR_ID}/usage/999999-0"),
            "INVALID_REQUEST",
        ),
        (
            pb.StreamUsageRequest(after=first.replace(OPERATOR_ID, OTHER_ID)),
            "INVALID_REQUEST",
        ),
        (pb.StreamUsageRequest(operator_id=OTHER_ID), "SCOPE_NOT_GRANTED"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await desk.usage.StreamUsage(wrong).read()
        assert _reason(caught.value) == reason


async def _told(stream: Any, entries: int) -> list[str]:
    """Return the names of a stream's next entries."""
    return [(await stream.read()).entry.name for _ in range(entries)]
