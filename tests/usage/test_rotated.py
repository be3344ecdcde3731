"""A planned change of the key of receipts voids nothing; one that was stolen is believed no more."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from creditgate.transparency.linked import LinkedKeys, UnknownKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.usage_evidence import USE, verify_evidence
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_evidence_pb2 import ShownLeaf, UsageEvidence, UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from creditgate.v1.usage_service_pb2 import GetUsageCosignatureRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.meter.receipts import ReceiptSigner
from gateway.server.log_keys import LogKeys
from gateway.transparency.tables import LogId
from gateway.usage.check import check_usage
from sdk.refusals import explain
from sdk.signing import SigningKey
from sdk.usage import Usage, keeping
from sdk.usage_agreeing import Agreeing
from sdk.usage_book import UsageBook
from tests.cli.commands import creditgate_here
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLISHER,
    Gateway,
    Installation,
    company,
    eventually,
)
from tests.server.calls import draft, publish, query


@dataclass
class Served:
    """A gateway that runs, and who calls it."""

    gateway: Gateway
    key: VerifierKey
    signer: ReceiptSigner
    operator: grpc.aio.Channel
    publisher: grpc.aio.Channel
    desk: Any
    audit: Any


@dataclass
class Firm:
    """An operator that keeps a book, before one gateway after the other."""

    installation: Installation
    leaves: list[UsageLeaf] = field(default_factory=list[UsageLeaf])
    credits: int = 0

    @asynccontextmanager
    async def before_gateway(self) -> AsyncGenerator[Served]:
        """Start the gateway."""
        installation = self.installation
        async with (
            installation.running() as gateway,
            gateway.channel() as operator,
            gateway.channel(PUBLISHER) as publisher,
            gateway.channel(ADMINISTRATOR) as administrator,
        ):
            issuer = gateway.running.issuer
            key = LogKeys(installation.home, installation.engines, issuer).of(LogId.USAGE)
            yield Served(
                gateway,
                key.verifier,
                ReceiptSigner(key),
                operator,
                publisher,
                SettlementServiceStub(administrator),
                UsageServiceStub(administrator),
            )

    def rotate(self, *options: str) -> str:
        """Change the key while the gateway is stopped, and return what the command says."""
        done = creditgate_here(
            self.installation.folder, "log", "rotate", "--log", "usage", *options
        )
        assert done.status == 0, done.told
        return done.out

    async def use(self, served: Served, book: UsageBook) -> None:
        """Use three times, and keep the receipts."""
        for _ in range(3):
            answer = await query(served.operator)
            await keeping(served.operator, book, partial(book.keep, answer))
            self.leaves.append(UsageLeaf.FromString(answer.receipt.usage.leaf))

    async def agree(self, served: Served, book: UsageBook) -> int:
        """Agree with all that is logged."""
        key = SigningKey.read(served.gateway.credentials().signing_key.read_bytes())
        usage = Usage(served.operator)

        async def all_logged() -> bool:
            return await usage.follow(book) == len(self.leaves)

        await eventually(all_logged)
        return await Agreeing(
            served.operator, book, OPERATOR_CLIENT, key, self.installation.clock.now
        ).agree()

    async def credit(self, served: Served, evidence: bytes) -> str:
        """Ask for a credit note; return "" or the reason it is refused for, and what is wrong."""
        self.credits += 1
        request = pb.CreateCreditNoteRequest(
            operator_id=OPERATOR_ID,
            evidence=evidence,
            reason="proven",
            request_id=f"c-{self.credits}",
        )
        try:
            await served.desk.CreateCreditNote(request)
        except grpc.aio.AioRpcError as error:
            return str(explain(error))
        return ""

    def overcharge(self, signer: ReceiptSigner, place: int) -> bytes:
        """Return evidence, as a gateway that cheats signs it, that a use was charged twice."""
        first, again = UsageLeaf(), UsageLeaf()
        first.CopyFrom(self.leaves[place - 1])
        again.CopyFrom(self.leaves[place])
        again.request_id = first.request_id
        receipts = signer.receipts(
            [each.SerializeToString(deterministic=True) for each in (first, again)]
        )
        return UsageEvidence(
            kind=UsageEvidenceKind.USAGE_EVIDENCE_KIND_TWICE,
            leaves=[ShownLeaf(receipt=UsageReceipt.FromString(each)) for each in receipts],
        ).SerializeToString()


async def test_a_planned_change_voids_nothing_and_a_stolen_key_is_believed_no_more(
    embedded: Installation, tmp_path: Path
) -> None:
    firm = Firm(embedded)
    async with firm.before_gateway() as served:
        await publish(served.publisher, [draft("r-1", company(1))])
        first = served.key
        book = UsageBook.begin(tmp_path / "receipts.book", OPERATOR_ID, first)
        await firm.use(served, book)
        assert await firm.agree(served, book) == 3
        held = firm.overcharge(served.signer, 1)
        assert not await firm.credit(served, firm.overcharge(served.signer, 2))
    note = firm.rotate("--at-once")
    async with firm.before_gateway() as served:
        agreed = await served.audit.GetUsageCosignature(
            GetUsageCosignatureRequest(operator_id=OPERATOR_ID)
        )
        assert agreed.size == 3
        answer = await query(served.operator)
        with pytest.raises(UnknownKey):
            book.keep(answer)
        firm.leaves.append(UsageLeaf.FromString(answer.receipt.usage.leaf))
        await keeping(served.operator, book, partial(book.keep, answer))
        assert book.keys.chain == (first, served.key)
        await firm.use(served, book)
        await firm.agree(served, book)
        assert not list(book.differences())
        assert not await firm.credit(served, held)
        assert "STATE_CONFLICT" in await firm.credit(served, held)
        later = firm.overcharge(served.signer, 5)
        assert not await firm.credit(served, later)
        # Who pinned either key verifies what both signed.
        shown = await Usage(served.operator).prove(f"operators/{OPERATOR_ID}/usage/0-0", book.keys)
        for pinned in (first, served.key):
            keys = LinkedKeys.of(pinned, [note])
            assert verify_evidence(shown.SerializeToString(deterministic=True), keys).kind == USE
            for evidence in (held, later):
                assert verify_evidence(evidence, keys).convicts
        told = await _successions(served.gateway)
        assert told == [note]
        assert not check_usage(embedded.engines).faults
    thief = served.signer
    firm.rotate("--stolen")
    async with firm.before_gateway() as served:
        for evidence in (
            held,
            later,
            firm.overcharge(thief, 3),
        ):
            assert "another key" in await firm.credit(served, evidence)
        assert await _successions(served.gateway) == []
        answer = await query(served.operator)
        firm.leaves.append(UsageLeaf.FromString(answer.receipt.usage.leaf))
        with pytest.raises(UnknownKey):
            await keeping(served.operator, book, partial(book.keep, answer))
        with pytest.raises(ProofInvalid):
            await firm.agree(served, book)
        # Compared by its owner on another way, it follows; and earlier notes stand as they are.
        book.pin(served.key)
        book.keep(answer)
        await firm.use(served, book)
        await firm.agree(served, book)
        assert not list(book.differences())
        assert not await firm.credit(served, firm.overcharge(served.signer, 9))
        assert not check_usage(embedded.engines).faults
    book.close()
    assert UsageBook.open(tmp_path / "receipts.book").keys.chain[-1] == served.key


async def _successions(gateway: Gateway) -> list[str]:
    url = f"{gateway.running.issuer}/log/usage/successions"
    async with httpx.AsyncClient(verify=gateway.credentials().tls()) as http:
        return (await http.get(url)).raise_for_status().json()
