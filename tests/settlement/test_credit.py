"""Credit notes: only proven overcharges, each once, in the open month, shares taken back exactly."""

from collections.abc import AsyncIterator

import pytest

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_evidence_pb2 import ShownLeaf, UsageEvidence, UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine, UsageReceipt
from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.settlement.credit import evidence_verifier
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.month_use import NOWHERE
from gateway.settlement.service import CreditService
from gateway.settlement.store import NotesChanged
from gateway.shares import Shares
from gateway.storage.engines import Engines
from tests.clock import StandingClock
from tests.receipts import KEY, RECEIPTS
from tests.settle.world import ADMINISTRATOR, MARCH
from tests.settlement.test_closing import FEE, closed, served
from tests.settlement.world import FEBRUARY, JANUARY, Ledger, Months


def leaf(place: int, fee: int = 3 * FEE, operator_id: str = "alpha") -> UsageLeaf:
    """Return a leaf of the one request, of three records of two sources."""
    return UsageLeaf(
        kind=UsageKind.USAGE_KIND_ANSWER,
        operator_id=operator_id,
        usage_index=place,
        client_id="alpha-client",
        request_id="r-1",
        payload_digest=b"p",
        decision_id=f"d-{place}",
        serve_seconds=JANUARY + 5,
        lines=[
            UsageLine(
                item="penalty",
                source=source,
                region="11",
                entries=entries,
                unit_price_micro_yuan=FEE,
            )
            for source, entries in (("mem", 1), ("tax", 2))
        ],
        fee_micro_yuan=fee,
        revisions=bytes(24),
    )


def twice(*leaves: UsageLeaf) -> bytes:
    """Return evidence that leaves, the earlier first, are of one request."""
    receipts = RECEIPTS.receipts([each.SerializeToString(deterministic=True) for each in leaves])
    return UsageEvidence(
        kind=UsageEvidenceKind.USAGE_EVIDENCE_KIND_TWICE,
        leaves=[ShownLeaf(receipt=UsageReceipt.FromString(receipt)) for receipt in receipts],
    ).SerializeToString()


class Desk:
    """Asks for credit notes as an administrator."""

    def __init__(self, months: Months, engines: Engines, shares: Shares) -> None:
        self.clock = StandingClock(MARCH + 5)
        self._service = CreditService(
            evidence_verifier(KEY.verifier),
            SqlCreditNotes(engines.evidence),
            months.months,
            months.feed,
            self.clock,
            shares,
        )

    async def ask(
        self, evidence: bytes, request_id: str = "r", operator_id: str = "alpha"
    ) -> CreditNote:
        """Return the note; raises Refused."""
        request = pb.CreateCreditNoteRequest(
            operator_id=operator_id,
            evidence=evidence,
            reason="charged twice",
            request_id=request_id,
        )
        return (await self._service.create_credit_note(request, ADMINISTRATOR)).credit_note


@pytest.fixture
async def desk(months: Months, engines: Engines) -> AsyncIterator[Desk]:
    """Where credit notes are asked for, in March."""
    shares = Shares("credit")
    yield Desk(months, engines, shares)
    shares.close()


async def test_proven_overcharge_is_given_back_in_the_open_month(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(MARCH + 1, 9)])
    note = await desk.ask(twice(leaf(3), leaf(7)))
    assert (note.month, note.amount_micro_yuan) == ("2026-03", 3 * FEE)
    assert [(use.usage_index, use.source, use.amount_micro_yuan) for use in note.uses] == [
        (7, "mem", FEE),
        (7, "tax", 2 * FEE),
    ]
    assert sum(share.amount_micro_yuan for share in note.shares) == 3 * FEE
    assert (list(note.plan_ids), list(note.rule_ids)) == (["plan"], ["rule"])
    assert all(use.explanation_zh and use.explanation_en for use in note.uses)
    assert months.balances()["operators/alpha"] == -3 * FEE
    for number, month in enumerate(("2026-01", "2026-02", "2026-03")):
        months.close(month, f"r{number}")
    statement = closed(months, "2026-03").statement
    assert list(statement.credit_notes) == [note]
    assert statement.due_micro_yuan == FEE - 3 * FEE
    assert sum(share.amount_micro_yuan for share in statement.due_shares) == -2 * FEE
    assert months.balances()["operators/alpha"] == -2 * FEE
    kept = closed(months, "2026-03")
    assert months.closer.worked_out_again(kept) == kept.document


async def test_request_repeated_gives_the_same_note_and_books_it_once(
    desk: Desk, months: Months
) -> None:
    evidence = twice(leaf(3), leaf(7))
    first = await desk.ask(evidence)
    desk.clock.at += 100
    assert await desk.ask(evidence) == first
    assert len(months.journal.entries("", "", "", after=0, limit=9)) == 1
    with pytest.raises(Refused) as refusal:
        await desk.ask(twice(leaf(3), leaf(8)))
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED


async def test_no_use_is_credited_twice(desk: Desk) -> None:
    await desk.ask(twice(leaf(3), leaf(7)))
    with pytest.raises(Refused) as refusal:
        await desk.ask(twice(leaf(5), leaf(7)), "other")
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


async def test_what_was_reversed_is_not_given_back_again(desk: Desk, ledger: Ledger) -> None:
    ledger.serve([served(JANUARY + 5, 1), served(JANUARY + 5, 1, "y"), served(JANUARY + 5, 1, "z")])
    ledger.reverse(0, 2)
    note = await desk.ask(_of_place_zero())
    assert note.amount_micro_yuan == FEE


def _of_place_zero() -> bytes:
    """Return evidence of an overcharge of the leaf at the first place: it charges thrice what
    it counts."""
    charged = leaf(0)
    charged.lines[1].entries = 0
    charged.lines[0].entries = 0
    charged.revisions = b""
    (receipt,) = RECEIPTS.receipts([charged.SerializeToString(deterministic=True)])
    return UsageEvidence(
        kind=UsageEvidenceKind.USAGE_EVIDENCE_KIND_MISCOUNTED,
        leaves=[ShownLeaf(receipt=UsageReceipt.FromString(receipt))],
    ).SerializeToString()


async def test_evidence_that_proves_no_overcharge_is_refused(desk: Desk, months: Months) -> None:
    forged = leaf(7)
    good = twice(leaf(3), leaf(7))
    forged.fee_micro_yuan *= 2
    mended = good.replace(
        leaf(7).SerializeToString(deterministic=True), forged.SerializeToString(deterministic=True)
    )
    assert mended != good
    (receipt,) = RECEIPTS.receipts([leaf(7).SerializeToString(deterministic=True)])
    mere_use = UsageEvidence(
        kind=UsageEvidenceKind.USAGE_EVIDENCE_KIND_USE,
        leaves=[ShownLeaf(receipt=UsageReceipt.FromString(receipt))],
    ).SerializeToString()
    for evidence in (
        mere_use,
        b"nonsense",
        mended,
        twice(leaf(7), leaf(3)),
        b"\x08\x03",
        b"",
        bytes(2 << 20),
    ):
        with pytest.raises(Refused) as refusal:
            await desk.ask(evidence)
        assert [each.field for each in refusal.value.violations] == ["evidence"]
    with pytest.raises(Refused) as refusal:
        await desk.ask(good, operator_id="beta")
    assert [each.field for each in refusal.value.violations] == ["evidence"]
    assert not months.balances()


async def test_note_of_a_clock_set_back_is_booked_in_a_month_that_is_open(
    desk: Desk, months: Months
) -> None:
    for number, month in enumerate(("2026-01", "2026-02")):
        months.close(month, f"r{number}")
    desk.clock.at = FEBRUARY + 1
    assert (await desk.ask(twice(leaf(3), leaf(7)))).month == "2026-03"


async def test_month_is_not_closed_past_a_note_that_was_booked_meanwhile(
    desk: Desk, months: Months
) -> None:
    for number, month in enumerate(("2026-01", "2026-02")):
        months.close(month, f"r{number}")
    stale = months.statement("2026-03")
    note = await desk.ask(twice(leaf(3), leaf(7)))
    with pytest.raises(NotesChanged):
        months.closings.close(stale, NOWHERE, MARCH)
    months.close("2026-03", "r3")
    assert list(closed(months, "2026-03").statement.credit_notes) == [note]
