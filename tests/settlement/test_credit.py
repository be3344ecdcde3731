"""Credit notes: only proven overcharges, each once, in the open month, shares taken back exactly."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from creditgate.rating.components import CAP, FREE_TIER, GRADUATED, PriceComponent, Tier
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused
from creditgate.transparency.usage_evidence import CONFLICT, MOST_BYTES, TWICE
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_evidence_pb2 import ShownLeaf, UsageEvidence, UsageEvidenceKind
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine, UsageReceipt
from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.settle.month import month_named
from gateway.settlement.checking import check_month
from gateway.settlement.credit import Verifier, evidence_verifier
from gateway.settlement.credit_service import CreditService
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.crediting import Crediting
from gateway.settlement.ledger_month import NOWHERE
from gateway.settlement.own_log import OwnLog
from gateway.settlement.request import require_credit
from gateway.settlement.right_lines import Overcharge
from gateway.settlement.store import NotesChanged
from gateway.shares import Shares
from gateway.storage.engines import Engines
from tests.clock import StandingClock
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.receipts import KEY, RECEIPTS
from tests.settle.world import ADMINISTRATOR, MARCH
from tests.settlement.test_closing import FEE, amounts, closed, served
from tests.settlement.world import FEBRUARY, JANUARY, Ledger, Months

pytestmark = rarely_on_postgresql


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

    def __init__(
        self, months: Months, engines: Engines, shares: Shares, verify: Verifier | None = None
    ) -> None:
        self.clock = StandingClock(MARCH + 5)
        crediting = Crediting(
            verify or evidence_verifier(KEY.verifier, OwnLog(engines.records).uses),
            SqlCreditNotes(engines.evidence),
            months.months,
            months.closer,
            self.clock,
        )
        self._service = CreditService(crediting, months.feed, shares)

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


def test_evidence_is_taken_as_long_as_it_is_read() -> None:
    """Of a miscount it has the whole answer, which may be some MiB."""
    asked = pb.CreateCreditNoteRequest(
        operator_id="alpha", evidence=bytes(MOST_BYTES), reason="miscounted", request_id="r"
    )
    require_credit(asked)
    asked.evidence += b"\0"
    with pytest.raises(Refused) as refusal:
        require_credit(asked)
    assert [fault.field for fault in refusal.value.violations] == ["evidence"]


def thrice(ledger: Ledger, *answers: int, at: int = JANUARY + 5) -> None:
    """Charge answers of three records of two sources each, as the leaves tell."""
    ledger.serve(
        [
            fact
            for answer in answers
            for fact in (
                served(at, answer),
                served(at, answer, "x", "tax"),
                served(at, answer, "y", "tax"),
            )
        ]
    )


@always_on_postgresql
async def test_proven_overcharge_is_given_back_in_the_open_month(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    thrice(ledger, 1, 2)
    ledger.serve([served(MARCH + 1, 9)])
    months.close("2026-01", "r0")
    note = await desk.ask(twice(leaf(0), leaf(1)))
    assert (note.month, note.amount_micro_yuan) == ("2026-03", 3 * FEE)
    assert [(use.usage_index, use.source, use.amount_micro_yuan) for use in note.uses] == [
        (1, "mem", FEE),
        (1, "tax", 2 * FEE),
    ]
    assert sum(share.amount_micro_yuan for share in note.shares) == 3 * FEE
    assert (list(note.plan_ids), list(note.rule_ids)) == (["plan"], ["rule"])
    assert note.uses[0].explanation_en == (
        "one request was charged twice, again as use 1 of the log: by the prices of the time"
        " 2026-01 costs 0.060006 yuan with it, 0.030003 yuan as it ought to be, 0.00 yuan of it"
        " given back before: 0.010001 yuan given back here, charged where it is below 0"
    )
    assert all(use.explanation_zh for use in note.uses)
    assert months.balances()["operators/alpha"] == 3 * FEE
    for number, month in enumerate(("2026-02", "2026-03"), 1):
        months.close(month, f"r{number}")
    statement = closed(months, "2026-03").statement
    assert list(statement.credit_notes) == [note]
    assert statement.due_micro_yuan == FEE - 3 * FEE
    assert sum(share.amount_micro_yuan for share in statement.due_shares) == -2 * FEE
    assert months.balances()["operators/alpha"] == 4 * FEE
    kept = closed(months, "2026-03")
    assert months.closer.worked_out_again(kept) == kept.document


async def test_request_repeated_gives_the_same_note_and_books_it_once(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    thrice(ledger, 1, 2, 3)
    evidence = twice(leaf(0), leaf(1))
    first = await desk.ask(evidence)
    desk.clock.at += 100
    assert await desk.ask(evidence) == first
    assert len(months.journal.entries("", "", "", after=0, limit=9)) == 1
    with pytest.raises(Refused) as refusal:
        await desk.ask(twice(leaf(0), leaf(2)))
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED


@always_on_postgresql
async def test_no_use_is_credited_twice(desk: Desk, ledger: Ledger) -> None:
    thrice(ledger, 1, 2)
    await desk.ask(twice(leaf(0), leaf(1)))
    await _refused(desk, twice(leaf(0), leaf(1)))


async def _refused(desk: Desk, evidence: bytes, request_id: str = "other") -> None:
    with pytest.raises(Refused) as refusal:
        await desk.ask(evidence, request_id)
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


@always_on_postgresql
async def test_what_was_reversed_is_not_given_back_again(desk: Desk, ledger: Ledger) -> None:
    thrice(ledger, 1)
    ledger.reverse(0, 2)
    note = await desk.ask(_of_place_zero())
    assert note.amount_micro_yuan == FEE


async def test_rest_of_an_overcharge_is_given_back_later(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    thrice(ledger, 1, 2)
    (receipt,) = RECEIPTS.receipts([_with_revisions(1, 2).SerializeToString(deterministic=True)])
    partly = UsageEvidence(
        kind=UsageEvidenceKind.USAGE_EVIDENCE_KIND_MISCOUNTED,
        leaves=[ShownLeaf(receipt=UsageReceipt.FromString(receipt))],
    ).SerializeToString()
    first = await desk.ask(partly, "a")
    second = await desk.ask(twice(leaf(0), leaf(1)), "b")
    assert (first.amount_micro_yuan, second.amount_micro_yuan) == (FEE, 2 * FEE)
    given: Counter[str] = Counter()
    for note in (first, second):
        given.update(amounts(note.shares))
    january = month_named("2026-01")
    assert january is not None
    charged, right = months.closer.as_it_ought("alpha", january, months.feed.current(), {1: ()})
    given.update(amounts(right.shares))
    assert given == amounts(charged.shares)
    await _refused(desk, partly, "c")


def _with_revisions(place: int, count: int) -> UsageLeaf:
    """Return a leaf of three records that has the revisions of fewer."""
    miscounted = leaf(place)
    miscounted.revisions = bytes(8 * count)
    return miscounted


async def _put(months: Months, *components: PriceComponent) -> None:
    plan = PricePlan(
        plan_id="other", effective_from=FEBRUARY, prices={"": FEE}, components=components
    )
    months.put(JANUARY + 1, plan)
    await months.feed.refresh()


def _of_february(place: int) -> UsageLeaf:
    found = leaf(place)
    found.serve_seconds = FEBRUARY + 5
    return found


async def test_use_that_was_free_is_given_back_nothing_for(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    free = PriceComponent(component_id="free", kind=FREE_TIER, records=1_000)
    await _put(months, free)
    thrice(ledger, 1, 2, at=FEBRUARY + 5)
    assert months.statement("2026-02").total_micro_yuan == 0
    await _refused(desk, twice(_of_february(0), _of_february(1)))
    # More use passes the free tier by one record: so much was then charged for the second time.
    free_of = [served(FEBRUARY + 9, 100 + n, subject=chr(97 + n % 20)) for n in range(995)]
    ledger.serve(free_of)
    assert months.statement("2026-02").total_micro_yuan == FEE
    note = await desk.ask(twice(_of_february(0), _of_february(1)), "later")
    assert note.amount_micro_yuan == FEE


async def test_use_that_cost_nothing_itself_is_given_back_what_it_did_to_the_tiers(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    tiers = (Tier(from_records=0, unit_price=0), Tier(from_records=3, unit_price=70_000))
    await _put(months, PriceComponent(component_id="g", kind=GRADUATED, tiers=tiers))
    twice_charged = [_of_february(0), _of_february(1)]
    for each in twice_charged:
        each.fee_micro_yuan = 0
        for line in each.lines:
            line.unit_price_micro_yuan = 0
    ledger.serve(
        [
            fact._replace(unit_price=0)
            for answer in (1, 2)
            for fact in (
                served(FEBRUARY + 5, answer),
                served(FEBRUARY + 5, answer, "x", "tax"),
                served(FEBRUARY + 5, answer, "y", "tax"),
            )
        ]
    )
    note = await desk.ask(twice(*twice_charged))
    assert note.amount_micro_yuan == 3 * 70_000 == months.statement("2026-02").total_micro_yuan


@always_on_postgresql
async def test_what_was_promised_cheaper_is_rated_without_what_was_reversed_of_it(
    months: Months, ledger: Ledger
) -> None:
    thrice(ledger, 1)
    ledger.reverse(0, 2)
    promised = leaf(0)
    for line in promised.lines:
        line.unit_price_micro_yuan = 5_000
    month = month_named("2026-01")
    assert month is not None
    right = {0: list(promised.lines)}
    charged, ought = months.closer.as_it_ought("alpha", month, months.feed.current(), right)
    # One record is left, of three.
    assert (charged.total_micro_yuan, ought.total_micro_yuan) == (FEE, 5_000)


async def test_two_overcharges_of_a_month_give_back_what_both_together_cost(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    await _put(months, PriceComponent(component_id="cap", kind=CAP, amount=5 * FEE))
    thrice(ledger, 1, 2, 3, at=FEBRUARY + 5)
    # Of nine records the cap lets five be charged; six are left without one answer.
    await _refused(desk, twice(_of_february(0), _of_february(1)), "a")
    ledger.reverse(2, 2)
    # Seven are left; four without the one answer, three without both.
    first = await desk.ask(twice(_of_february(0), _of_february(1)), "b")
    second = await desk.ask(twice(_of_february(0), _of_february(2)), "c")
    assert (first.amount_micro_yuan, second.amount_micro_yuan) == (FEE, FEE)


async def test_overcharges_that_cost_nothing_one_by_one_are_given_back_with_the_last(
    desk: Desk, months: Months, ledger: Ledger, engines: Engines
) -> None:
    await _put(months, PriceComponent(component_id="cap", kind=CAP, amount=5 * FEE))
    thrice(ledger, 1, 2, 3, at=FEBRUARY + 5)
    # Of nine records the cap lets five be charged; six are left without one answer, three without
    # both.
    await _refused(desk, twice(_of_february(0), _of_february(1)), "a")
    assert not months.statement("2026-03").credit_notes
    assert not months.balances()
    last = twice(_of_february(0), _of_february(2))
    note = await desk.ask(last, "b")
    assert note.amount_micro_yuan == 2 * FEE
    assert {use.usage_index for use in note.uses} == {2}
    for number, month in enumerate(("2026-01", "2026-02", "2026-03")):
        months.close(month, f"r{number}")
    assert list(closed(months, "2026-03").statement.credit_notes) == [note]
    assert not check_month(engines, "2026-03").faults
    for request_id, evidence in (("a", twice(_of_february(0), _of_february(1))), ("c", last)):
        await _refused(desk, evidence, request_id)


@always_on_postgresql
async def test_what_gave_nothing_back_gives_it_to_the_same_request_once_something_is_left(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    await _put(months, PriceComponent(component_id="cap", kind=CAP, amount=3 * FEE))
    thrice(ledger, 1, 2, 3, at=FEBRUARY + 5)
    evidence = twice(_of_february(0), _of_february(1))
    await _refused(desk, evidence, "a")
    await _refused(desk, evidence, "a")
    # Five are left, two without the answer: below the cap by one.
    ledger.reverse(0, 2)
    ledger.reverse(2, 2)
    note = await desk.ask(evidence, "a")
    assert note.amount_micro_yuan == FEE
    assert await desk.ask(evidence, "a") == note


async def test_use_that_was_promised_dearer_than_charged_takes_nothing_off_what_else_is_proven(
    months: Months, ledger: Ledger, engines: Engines
) -> None:
    thrice(ledger, 1, 2)
    dearer, nothing = leaf(0), Overcharge(TWICE, 1, ())
    for line in dearer.lines:
        line.unit_price_micro_yuan += 5_000
    proven = {b"dearer": Overcharge(CONFLICT, 0, list(dearer.lines)), b"twice": nothing}
    shares = Shares("credit")
    desk = Desk(months, engines, shares, lambda evidence, _: proven[evidence])
    await _refused(desk, b"dearer", "a")
    assert (await desk.ask(b"twice", "b")).amount_micro_yuan == 3 * FEE
    shares.close()


async def test_overcharge_the_ledger_has_no_use_for_is_refused(desk: Desk) -> None:
    await _refused(desk, twice(leaf(3), leaf(7)))


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
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    thrice(ledger, 1, 2)
    for number, month in enumerate(("2026-01", "2026-02")):
        months.close(month, f"r{number}")
    desk.clock.at = FEBRUARY + 1
    assert (await desk.ask(twice(leaf(0), leaf(1)))).month == "2026-03"


@always_on_postgresql
async def test_month_is_not_closed_past_a_note_that_was_booked_meanwhile(
    desk: Desk, months: Months, ledger: Ledger
) -> None:
    thrice(ledger, 1, 2)
    for number, month in enumerate(("2026-01", "2026-02")):
        months.close(month, f"r{number}")
    stale = months.statement("2026-03")
    note = await desk.ask(twice(leaf(0), leaf(1)))
    with pytest.raises(NotesChanged):
        months.closings.close(stale, NOWHERE, MARCH, lambda: True, frozenset())
    months.close("2026-03", "r3")
    assert list(closed(months, "2026-03").statement.credit_notes) == [note]
