"""A signed statement is worked out by its operator; where it is padded, that is proved and given back."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from sqlalchemy import select, update

from creditgate.rating.components import FREE_TIER, PriceComponent
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.statement_document import (
    ALGORITHM,
    TYPE,
    StatementRegistry,
    open_statement,
)
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.statement_evidence import (
    shortened,
    statement_of,
    verify_statement_evidence,
)
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceStub
from creditgate.v1.usage_evidence_pb2 import UsageEvidence
from gateway.meter.tables import USAGE
from gateway.settle.month import month_of, shifted
from gateway.settlement.own_log import OwnLog
from gateway.transparency.tables import LogId
from sdk.usage_book import UsageBook
from sdk.usage_statements import Statements
from sdk.verifying import main as verifying
from tests.cli.commands import creditgate_here
from tests.examples import rarely_on_postgresql
from tests.installation import ADMINISTRATOR, OPERATOR_CLIENT, OPERATOR_ID, Installation
from tests.server.delivering import key_of
from tests.settlement.test_closing import FEE, served
from tests.settlement.world import Ledger

if TYPE_CHECKING:
    from creditgate.v1.settlement_service_pb2_grpc import SettlementServiceAsyncStub

PADDED = 10**9


@dataclass
class Closed:
    """A gateway whose operator's last month is closed, the month before it too."""

    installation: Installation
    statements: Statements
    settlement: "SettlementServiceAsyncStub"
    book: UsageBook
    key: VerifierKey
    month: str

    async def signed(self, pad: Callable[[dict[str, Any]], None]) -> str:
        """Return the month's document as a gateway would sign it that pads it."""
        stated = open_statement(await self.statements.signed(self.month), self.key)
        pad(stated["statements"][0])
        pem = self.installation.home.log_key(LogId.USAGE.path).read_bytes()
        payload = json.dumps(stated, ensure_ascii=False).encode()
        header = {"alg": ALGORITHM, "typ": TYPE}
        return jws.serialize_compact(
            header, payload, OKPKey.import_key(pem), registry=StatementRegistry()
        )

    async def credit(self, evidence: bytes, request_id: str) -> Any:
        """Return the credit note that evidence leads to."""
        request = pb.CreateCreditNoteRequest(
            operator_id=OPERATOR_ID, evidence=evidence, reason="padded", request_id=request_id
        )
        return (await self.settlement.CreateCreditNote(request)).credit_note


@asynccontextmanager
async def closed(installation: Installation, folder: Path) -> AsyncGenerator[Closed]:
    """Close a month of three uses, one of them free, to which a fourth came late."""
    this = month_of(int(time.time()))
    last = shifted(this, -1)
    free = PriceComponent(component_id="free", kind=FREE_TIER, records=1)
    plan = PricePlan(
        plan_id="agreed", effective_from=last.from_, prices={"": FEE}, components=(free,)
    )
    installation.put(PRICE_PLAN, plan.id, plan.model_dump(mode="json"))
    ledger = Ledger(installation.engines, OPERATOR_ID)
    ledger.serve([served(last.from_ + n, n) for n in range(3)])
    async with (
        installation.running() as gateway,
        gateway.channel(ADMINISTRATOR) as administrator,
        gateway.channel() as operator,
    ):
        key = key_of(installation)
        book = UsageBook.begin(folder / "book", OPERATOR_ID, key)
        settlement = SettlementServiceStub(administrator)
        await settlement.ClosePeriod(pb.ClosePeriodRequest(month=last.name, request_id="close"))
        ledger.serve([served(last.from_ + 9, 9)])
        statements = Statements(operator)
        yield Closed(installation, statements, settlement, book, key, last.name)
        book.close()


def pad(stated: dict[str, Any]) -> None:
    """Add 1,000 yuan to a line, and to all sums it is in."""
    share = {"beneficiary": "platform", "amount_micro_yuan": str(PADDED)}
    line = stated["lines"][0]
    for shares in (line["shares"], stated["shares"], stated["due_shares"]):
        shares.append(share)
    line["fee_micro_yuan"] = str(int(line["fee_micro_yuan"]) + PADDED)
    for name in ("total_micro_yuan", "due_micro_yuan"):
        stated[name] = str(int(stated[name]) + PADDED)


@rarely_on_postgresql
async def test_padded_statement_is_convicted_offline_and_given_back_once(
    installation: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with closed(installation, tmp_path) as world:
        honest = await world.statements.signed(world.month)
        checked = await world.statements.check(statement_of(honest, world.key), world.book)
        assert (checked.faults, checked.due) == ((), 2 * FEE)
        with pytest.raises(ProofInvalid, match="what follows"):
            await world.statements.dispute(honest, world.book)
        evidence, found = await world.statements.dispute(await world.signed(pad), world.book)
        assert (found.overcharge, found.closed) == (PADDED, True)
        assert [fault.where for fault in found.faults] == [
            "total_micro_yuan",
            "fee of penalty/mem/11",
            "due",
        ]
        file = tmp_path / "padded.evidence"
        file.write_bytes(evidence)
        assert verifying(["evidence", str(file), "--key", str(world.key)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["verdict"].startswith(f"OVERCHARGED BY {PADDED} micro-yuan on ")
        note = await world.credit(evidence, "credit-1")
        assert (note.amount_micro_yuan, note.statement_month) == (PADDED, world.month)
        assert [(use.usage_index, use.item, use.amount_micro_yuan) for use in note.uses] == [
            (-1, "penalty", PADDED)
        ]
        assert [(each.beneficiary, each.amount_micro_yuan) for each in note.shares] == [
            ("platform", PADDED)
        ]
        assert await world.credit(evidence, "credit-1") == note
        with pytest.raises(ProofInvalid):
            verify_statement_evidence(shortened(evidence), world.key)
        with pytest.raises(grpc.aio.AioRpcError, match="given back already"):
            await world.credit(shortened(evidence), "credit-3")
        with pytest.raises(grpc.aio.AioRpcError, match="given back already"):
            await world.credit(evidence, "credit-2")
        await the_next_statement_has_it_and_what_came_late(world)


async def the_next_statement_has_it_and_what_came_late(world: Closed) -> None:
    """Adjustment and credit are worked out too; a dropped credit is convicted."""
    this = shifted(month_of(int(time.time())), 0).name
    statement = statement_of(await world.statements.signed(this), world.key)
    assert [each.month for each in statement.adjustments] == [world.month]
    assert statement.due_micro_yuan == FEE - PADDED
    checked = await world.statements.check(statement, world.book)
    assert (checked.faults, checked.closed) == ((), False)
    dropped = type(statement)()
    dropped.CopyFrom(statement)
    del dropped.credit_notes[:]
    dropped.due_micro_yuan += PADDED
    dropped.due_shares.add(beneficiary="platform", amount_micro_yuan=PADDED)
    dropped.close_time.seconds = int(time.time())
    found = await world.statements.check(dropped, world.book, statement)
    assert found.overcharge == PADDED
    dropped.CopyFrom(statement)
    late = dropped.adjustments[0]
    late.lines[0].entries += 100_000
    late.lines[0].fee_micro_yuan += 7
    late.amount_micro_yuan += 7
    dropped.due_micro_yuan += 7
    found = await world.statements.check(dropped, world.book)
    assert found.overcharge == 7
    assert any("records of penalty" in fault.where for fault in found.faults)


async def test_short_evidence_is_judged_by_the_ledger_where_that_is_what_was_logged(
    installation: Installation, tmp_path: Path
) -> None:
    async with closed(installation, tmp_path) as world:
        evidence, found = await world.statements.dispute(await world.signed(pad), world.book)
        short = shortened(evidence)
        assert not UsageEvidence.FromString(short).statement.leaves
        checked = verify_statement_evidence(
            short, world.key, OwnLog(installation.engines.records).uses
        )
        # By whichever form, the same is shown.
        assert checked == found
        honest = UsageEvidence.FromString(short)
        honest.statement.document = await world.statements.signed(world.month)
        headless = UsageEvidence.FromString(short)
        headless.statement.checkpoint = ""
        forged = UsageEvidence.FromString(short)
        origin, _, *rest = forged.statement.checkpoint.split("\n")
        forged.statement.checkpoint = "\n".join((origin, "2", *rest))
        for message in (honest, headless, forged):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await world.credit(message.SerializeToString(deterministic=True), "none")
            assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        # A ledger that is not what was signed judges nothing.
        with installation.engines.records.begin() as connection:
            own = USAGE.c.operator_id == OPERATOR_ID, USAGE.c.usage_index == 1
            connection.execute(update(USAGE).where(*own).values(lines="[]"))
        with pytest.raises(grpc.aio.AioRpcError, match="creditgate log check"):
            await world.credit(short, "altered")
        with installation.engines.records.begin() as connection:
            (line,) = connection.execute(
                select(USAGE.c.lines).where(USAGE.c.usage_index == 0)
            ).scalars()
            connection.execute(update(USAGE).where(*own).values(lines=line))
        note = await world.credit(short, "credit")
        assert (note.amount_micro_yuan, note.statement_month) == (PADDED, world.month)


async def test_evidence_of_which_a_part_is_changed_or_missing_shows_nothing(
    embedded: Installation, tmp_path: Path
) -> None:
    async with closed(embedded, tmp_path) as world:
        evidence, _ = await world.statements.dispute(await world.signed(pad), world.book)
        honest = await world.statements.signed(world.month)

        def without_last_leaf(each: UsageEvidence) -> None:
            del each.statement.leaves[-1]

        def without_plans(each: UsageEvidence) -> None:
            del each.statement.plans[:]

        def other_leaf(each: UsageEvidence) -> None:
            each.statement.leaves[0] = each.statement.leaves[1]

        def own_document(each: UsageEvidence) -> None:
            each.statement.document = honest.replace(honest[-9:-5], "AAAA")

        def without_checkpoint(each: UsageEvidence) -> None:
            each.statement.checkpoint = ""

        for change in (
            without_last_leaf,
            other_leaf,
            own_document,
            without_checkpoint,
            without_plans,
        ):
            message = UsageEvidence.FromString(evidence)
            change(message)
            changed = message.SerializeToString(deterministic=True)
            with pytest.raises(ProofInvalid):
                verify_statement_evidence(changed, world.key)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await world.credit(changed, "changed")
            assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_commands_check_and_dispute_a_signed_statement(
    embedded: Installation, tmp_path: Path
) -> None:
    async with closed(embedded, tmp_path) as world:
        home = world.installation.home
        honest, padded = tmp_path / "honest.jws", tmp_path / "padded.jws"
        honest.write_text(await world.statements.signed(world.month))
        padded.write_text(await world.signed(pad))

        async def run(*arguments: str | Path) -> Any:
            return await asyncio.to_thread(
                creditgate_here, home.root, *arguments, PROFILE=str(home.profile(OPERATOR_CLIENT))
            )

        book = tmp_path / "book"
        done = await run("usage", "check", book, "--statement", honest, "--json")
        # No receipts are in the book, so all places differ; the statement does not.
        assert "statement" in done.json, done
        assert (done.status, done.json["statement"]["faults"]) == (1, [])
        assert (await run("usage", "check", book, "--month", world.month, "--json")).json[
            "statement"
        ] == done.json["statement"]
        done = await run("usage", "check", book, "--statement", padded)
        assert (done.status, f"OVERCHARGED BY {PADDED}" in done.out) == (1, True)
        evidence = tmp_path / "padded.evidence"
        done = await run("usage", "dispute-statement", book, padded, "--output", evidence, "--json")
        assert (done.status, done.json["overcharge_micro_yuan"]) == (0, PADDED)
        told = await run("usage", "verify", evidence, "--key", str(world.key), "--json")
        assert told.json == done.json
        done = await run("usage", "dispute-statement", book, honest, "--output", evidence)
        assert (done.status, "charges what follows" in done.told) == (1, True)
