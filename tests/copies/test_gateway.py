"""Copies are shown to a real gateway over every kind of channel, and refusals say why."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from creditgate.going_on import GO_ON
from creditgate.v1.conformance_service_pb2 import AttestationOpening, AttestCopiesRequest
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from sdk.challenges import Challenges
from sdk.conformance import Conformance
from sdk.connection import connect
from sdk.copies.file import CopiesFile
from sdk.refusals import explain
from tests.conformance.policies import policy_file
from tests.copies.files import WRITERS, Told, write_parquet
from tests.installation import PUBLISHER, Gateway, company, furnished
from tests.server.calls import draft, publish, query
from tests.server.keyed import KeyHolder
from tests.stores import SqliteStores

NUMBERS = range(300, 330)
KEYED = "alpha-keyed"
OTHERS = "altered", "empty", "refused", "silent"
"""Operators, each of one test: what an attestation finds stays found."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """A gateway that discloses thirty records to its operators."""
    with furnished(sqlite_stores) as installation:
        KeyHolder.enrol(installation, KEYED)
        for name in OTHERS:
            installation.license(name, f"L-{name}")
            installation.enrol(f"{name}-one", ClientRole.CLIENT_ROLE_OPERATOR, name)
        policy = policy_file(installation.folder)
        async with installation.running(conformance_policy=policy) as running:
            async with running.channel(PUBLISHER) as publisher:
                await publish(
                    publisher, [draft(f"r-{number}", company(number)) for number in NUMBERS]
                )
            yield running


async def served(channel: grpc.aio.Channel, folder: Path) -> CopiesFile:
    """Have an operator be served all records; return them as it keeps them."""
    copies: list[Told] = []
    for number in NUMBERS:
        for record in (await query(channel, company(number))).records:
            begins, ends = record.disclosed_from.seconds, record.disclosed_until.seconds
            copies.append(Told(record.name[len("records/") :], record.content, begins, ends))
    write_parquet(folder / "copies.parquet", copies)
    return CopiesFile(folder / "copies.parquet")


async def test_copies_are_shown_by_certificate_and_by_key(gateway: Gateway, tmp_path: Path) -> None:
    home = gateway.installation.home.root
    keyed = KeyHolder(gateway.installation, KEYED, home / "key-holders" / KEYED)
    async with (
        gateway.channel() as certified,
        await connect(keyed.credentials(gateway)) as proving,
    ):
        file = await served(certified, tmp_path)
        for channel in (certified, proving):
            done = await Conformance(channel).reconcile(file, 0)
            assert done.attestation is not None
            assert (done.copies, done.shown) == (30, 0)
            attested = await Conformance(channel).attest(file, 0)
            for each in (done.attestation, attested):
                assert (each.copies, each.standing_findings) == (30, 0)
                assert each.certificate


async def test_only_what_the_gateway_does_not_know_is_shown(
    gateway: Gateway, tmp_path: Path
) -> None:
    other = tmp_path / "copies.jsonl"
    async with gateway.channel("altered-one") as channel:
        copies = list(await served(channel, tmp_path))
        rows = [
            {
                "record_id": each.record_id,
                "content": "{}" if place < 3 else (each.content or b"").decode(),
                "disclosed_from": str(each.disclosed_from),
                "disclosed_until": str(each.disclosed_until),
            }
            for place, each in enumerate(copies)
        ]
        other.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        done = await Conformance(channel).reconcile(CopiesFile(other), 0)
        assert done.attestation is not None
        assert (done.shown, done.attestation.standing_findings) == (3, 3)
        # Its samples find the rest in order.
        challenges = await Challenges(channel).list()
        answered = await Challenges(channel).answer(CopiesFile(other), challenges)
    held = {f"records/{each.record_id}" for each in copies[3:]}
    assert answered.confirmed == sum(each.record in held for each in challenges)


@pytest.mark.parametrize("way", ["reconcile", "attest"])
async def test_a_refusal_says_why_although_much_was_to_be_sent(
    gateway: Gateway, tmp_path: Path, way: str
) -> None:
    async with gateway.channel("refused-one") as channel:
        file = await served(channel, tmp_path)
    for scopes, reflects, reason in (
        (("credit.records:read",), 0, "SCOPE_NOT_GRANTED"),
        ((), 1 << 40, "INVALID_REQUEST"),
    ):
        async with gateway.channel("refused-one", scopes=scopes) as channel:
            conformance = Conformance(channel)
            with pytest.raises(grpc.RpcError) as caught:
                await getattr(conformance, way)(file, reflects)
        assert explain(caught.value).reason == reason


async def test_an_opening_is_taken_before_copies_are_sent(gateway: Gateway) -> None:
    opening = AttestationOpening(request_id="r-1", copies=0, format_version=1)
    async with gateway.channel("silent-one") as channel, asyncio.timeout(10):
        call = ConformanceServiceStub(channel).AttestCopies()
        await call.write(AttestCopiesRequest(opening=opening))
        assert GO_ON in tuple(await call.initial_metadata())
        await call.done_writing()
        assert (await call).attestation.copies == 0


async def test_what_is_held_nowhere_is_said_only_when_told_so(
    gateway: Gateway, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.csv"
    WRITERS["copies.csv"](empty, [])
    async with gateway.channel("empty-one") as channel:
        await Conformance(channel).attest(await served(channel, tmp_path), 0)
        challenges = Challenges(channel)
        waiting = await challenges.list()
        assert waiting
        left = await challenges.answer(CopiesFile(empty), waiting)
        assert (left.shown, left.left) == (0, waiting)
        assert await challenges.list() == waiting
        said = await challenges.answer(CopiesFile(empty), waiting, gone=True)
        assert (said.shown, said.confirmed, len(said.findings)) == (len(waiting), 0, len(waiting))
        assert await challenges.list() == []
