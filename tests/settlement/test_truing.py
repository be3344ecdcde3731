"""What notes gave back of a month is put right as it comes to another sum: no more and no less is given
back in the end."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from random import Random

import pytest

from creditgate.rating.checking import check_statement
from creditgate.rating.components import (
    CAP,
    FLAT,
    GRADUATED,
    PER_SUBJECT,
    VOLUME,
    PriceComponent,
    Tier,
)
from creditgate.rating.grounds import Grounds
from creditgate.rating.plans import plan_bytes
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.usage_evidence import CONFLICT
from creditgate.v1.usage_log_pb2 import UsageLine
from creditgate.v1.usage_service_pb2 import CreditedUse, CreditNote, Statement
from gateway.federation.asking.tables import REGION_USES
from gateway.settle.month import month_named
from gateway.settle.shares import BY_CONTRIBUTION, OWN
from gateway.settlement.checking import check_month
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.documents import document_bytes
from gateway.settlement.right_lines import Overcharge, RightLines, proves_more, together
from gateway.settlement.store import NotesChanged
from gateway.settlement.tables import CLOSINGS, CREDIT_NOTES
from gateway.shares import Shares
from gateway.storage.engines import Engines
from tests.examples import always_on_postgresql, rarely_on_postgresql, seeds
from tests.settle.world import APRIL, MARCH
from tests.settlement.test_closing import FEE, amounts, closed, served
from tests.settlement.test_credit import Desk
from tests.settlement.test_worked_out import uses_of
from tests.settlement.world import FEBRUARY, JANUARY, PLAN, RULE, Ledger, Months

pytestmark = rarely_on_postgresql

_MONTHS = ("2026-01", "2026-02", "2026-03", "2026-04")


class Proofs:
    """Takes evidence that proves what it is told to."""

    def __init__(self, months: Months, engines: Engines, shares: Shares) -> None:
        self._proven: dict[bytes, Overcharge] = {}
        self._handed_in = 0
        self.desk = Desk(months, engines, shares, self._verify)

    def _verify(self, evidence: bytes, _: str) -> Overcharge:
        if evidence not in self._proven:
            raise invalid(Violation("evidence", "it does not hold"))
        return self._proven[evidence]

    def no_more(self) -> None:
        """Let no evidence of before hold any more, as by a key that was given up."""
        self._proven.clear()

    async def prove(self, place: int, *right: UsageLine) -> CreditNote | None:
        """Hand in that a use ought to count ``right``; None where nothing is given back for it."""
        try:
            return await self.hand_in(place, *right)
        except Refused:
            return None

    async def hand_in(self, place: int, *right: UsageLine) -> CreditNote:
        """As `prove`; raises Refused."""
        evidence = b"%d" % self._handed_in
        self._handed_in += 1
        self._proven[evidence] = Overcharge(CONFLICT, place, right)
        return await self.desk.ask(evidence, f"r-{self._handed_in}")

    def right(self, month_of: Mapping[int, str], month: str) -> RightLines:
        """Return what uses of a month ought to count, by all that was handed in."""
        proven = self._proven.values()
        return together(each for each in proven if month_of[each.usage_index] == month)


@pytest.fixture
async def proofs(months: Months, engines: Engines) -> AsyncIterator[Proofs]:
    """A desk in March."""
    shares = Shares("credit")
    yield Proofs(months, engines, shares)
    shares.close()


def line(entries: int, price: int = FEE, source: str = "mem") -> UsageLine:
    """Return a line of what a use ought to count."""
    return UsageLine(
        item="penalty", source=source, region="11", entries=entries, unit_price_micro_yuan=price
    )


async def _put(months: Months, *components: PriceComponent) -> None:
    plan = PricePlan(
        plan_id="other", effective_from=FEBRUARY, prices={"": FEE}, components=components
    )
    months.put(JANUARY + 1, plan)
    await months.feed.refresh()


def _close(months: Months, *names: str, now: int = APRIL) -> None:
    for name in names:
        months.close(name, f"close-{name}", now)


def _due(months: Months, *names: str) -> int:
    return sum(closed(months, name).statement.due_micro_yuan for name in names)


@always_on_postgresql
async def test_what_was_given_back_of_a_use_that_is_reversed_later_is_taken_back(
    proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    ledger.serve([served(MARCH + 1, 1, subject) for subject in "xyz"])
    note = await proofs.prove(0, line(1))
    assert note is not None
    assert note.amount_micro_yuan == 2 * FEE
    ledger.reverse(0, 3)
    standing = months.statement("2026-03")
    assert (standing.total_micro_yuan, standing.due_micro_yuan) == (0, 0)
    _close(months, "2026-01", "2026-02", "2026-03")
    kept = closed(months, "2026-03")
    (first, back) = kept.statement.credit_notes
    assert first == note
    assert (back.trued_up_month, back.month, back.amount_micro_yuan) == (
        "2026-03",
        "2026-03",
        -2 * FEE,
    )
    assert list(standing.credit_notes) == list(kept.statement.credit_notes)
    assert kept.statement.due_micro_yuan == 0 == sum(amounts(kept.statement.due_shares).values())
    assert back.uses[0].explanation_en == (
        "what is given back of 2026-03 is reckoned anew by all that is used and proven: by the prices"
        " of the time it costs 0.00 yuan as charged, 0.00 yuan as it ought to be, so 0.00 yuan are to"
        " be given back, and 0.020002 yuan were: -0.020002 yuan here, taken back where it is below 0"
    )
    assert back.uses[0].explanation_zh
    assert not any(months.balances().values())
    assert months.closer.worked_out_again(kept) == kept.document
    assert not check_month(engines, "2026-03").faults


async def test_how_things_stood_is_no_promise_to_who_works_a_statement_out(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    for answer in (1, 2):
        ledger.serve([served(MARCH + 1, answer, subject) for subject in "xyz"])
    for place in (0, 1):
        assert (await proofs.prove(place)) is not None
    ledger.reverse(0, 3)
    standing = months.statement("2026-03")
    ledger.reverse(1, 3)
    _close(months, "2026-01", "2026-02", "2026-03")
    kept = closed(months, "2026-03").statement
    assert [note.amount_micro_yuan for note in kept.credit_notes[2:]] == [-6 * FEE]
    assert [note.amount_micro_yuan for note in standing.credit_notes[2:]] == [-3 * FEE]
    grounds = Grounds(uses_of(ledger), [plan_bytes(PLAN)], [])
    for one, other in ((kept, standing), (standing, kept)):
        checked = check_statement(one, grounds._replace(earlier=[other]))
        assert (checked.faults, checked.overcharge) == ((), 0)
        assert any("is taken back" in each for each in checked.unchecked)


async def test_notes_that_take_back_without_putting_others_right_are_convicted(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 1, 1)])
    _close(months, "2026-01")
    honest = closed(months, "2026-01").statement
    grounds = Grounds(uses_of(ledger), [plan_bytes(PLAN)], [])
    for wrong in (
        CreditNote(),
        CreditNote(statement_month="2026-01"),
        CreditNote(trued_up_month="2026-02"),
        CreditNote(trued_up_month="2026-01", uses=[CreditedUse(usage_index=0)]),
    ):
        wrong.MergeFrom(
            CreditNote(
                credit_note_id="n", operator_id="alpha", month="2026-01", amount_micro_yuan=-FEE
            )
        )
        padded = Statement()
        padded.CopyFrom(honest)
        padded.due_micro_yuan += FEE
        padded.credit_notes.append(wrong)
        assert check_statement(padded, grounds).overcharge == FEE


@pytest.mark.parametrize("form", [0, 1])
async def test_month_closed_in_an_older_sharing_form_is_put_right_in_that(
    form: int, proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    ledger.serve(
        [*(served(FEBRUARY + 5, 1, each) for each in "xyz"), served(FEBRUARY + 6, 2, "u")],
        elsewhere={1},
    )
    ledger.serve([served(FEBRUARY + 7, 3, each) for each in "vw"])
    with engines.records.begin() as connection:
        connection.execute(REGION_USES.update().values(fee=20_000))
    _close(months, "2026-01", "2026-02")
    with engines.evidence.begin() as connection:
        kept = closed(months, "2026-02").statement
        kept.sharing_form = form
        connection.execute(
            CLOSINGS.update()
            .where(CLOSINGS.c.month == "2026-02", CLOSINGS.c.operator_id == "alpha")
            .values(known_notes=None, document=document_bytes(kept))
        )
    assert (await proofs.prove(2, line(1))) is not None
    _close(months, "2026-03")
    assert not any(x.trued_up_month for x in closed(months, "2026-03").statement.credit_notes)


async def test_what_later_use_carries_to_the_cap_was_not_overcharged(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    await _put(months, PriceComponent(component_id="cap", kind=CAP, amount=5 * FEE))
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    assert (await proofs.prove(0, line(1))) is not None
    ledger.serve([served(FEBRUARY + 2, 2, chr(65 + number)) for number in range(9)])
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == 5 * FEE


async def test_what_gave_nothing_back_yet_is_given_back_when_the_month_is_closed(
    proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    await _put(months, PriceComponent(component_id="cap", kind=CAP, amount=3 * FEE))
    for answer in (1, 2):
        ledger.serve([served(FEBRUARY + 1, answer, subject) for subject in "xyz"])
    assert (await proofs.prove(0)) is None
    # Four are left, one without what is proven.
    ledger.reverse(1, 2)
    _close(months, "2026-01", "2026-02")
    (given,) = closed(months, "2026-02").statement.credit_notes
    assert given.amount_micro_yuan == 2 * FEE
    assert _due(months, "2026-02") == FEE
    assert not check_month(engines, "2026-02").faults


@always_on_postgresql
async def test_reversal_after_a_month_is_closed_is_put_right_where_it_is_adjusted(
    proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    for answer in (1, 2):
        ledger.serve([served(FEBRUARY + 1, answer, subject) for subject in "xyz"])
    _close(months, "2026-01", "2026-02")
    for place in (0, 1):
        assert (await proofs.prove(place)) is not None
    ledger.reverse(0, 2)
    _close(months, "2026-03")
    statement = closed(months, "2026-03").statement
    assert [note.trued_up_month for note in statement.credit_notes] == ["", "", "2026-02"]
    assert _due(months, "2026-02", "2026-03") == 0
    # And once more, with what closing took back counted.
    ledger.reverse(1, 3)
    _close(months, "2026-04", now=APRIL + 40 * 86_400)
    assert _due(months, "2026-02", "2026-03", "2026-04") == 0
    for name in ("2026-02", "2026-03", "2026-04"):
        kept = closed(months, name)
        assert months.closer.worked_out_again(kept) == kept.document
        assert not check_month(engines, name).faults


async def test_note_about_a_month_that_is_over_and_open_is_counted_when_that_is_closed(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    note = await proofs.prove(0, line(1))
    assert note is not None
    assert note.month == "2026-03"
    ledger.reverse(0, 3)
    _close(months, "2026-01", "2026-02", "2026-03")
    (back,) = closed(months, "2026-02").statement.credit_notes
    assert back.amount_micro_yuan == -2 * FEE
    assert list(closed(months, "2026-03").statement.credit_notes) == [note]
    assert _due(months, "2026-02", "2026-03") == 0


async def test_after_it_was_put_right_the_rest_is_given_back_on_evidence(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    await _put(months, PriceComponent(component_id="cap", kind=CAP, amount=3 * FEE))
    for answer in (1, 2):
        ledger.serve([served(FEBRUARY + 1, answer, chr(97 + n)) for n in range(2)])
    assert (await proofs.prove(0)) is not None
    ledger.serve([served(FEBRUARY + 2, 3, chr(65 + n)) for n in range(9)])
    _close(months, "2026-01", "2026-02")
    (back,) = closed(months, "2026-02").statement.credit_notes
    assert back.amount_micro_yuan == -FEE
    ledger.reverse(2, 9)
    note = await proofs.prove(0)
    assert note is not None
    assert note.amount_micro_yuan == FEE
    _close(months, "2026-03")
    assert _due(months, "2026-02", "2026-03") == 2 * FEE


async def test_who_proves_what_would_cost_more_owes_nothing_for_it(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    tiers = (Tier(from_records=0, unit_price=90_000), Tier(from_records=3, unit_price=10_000))
    await _put(months, PriceComponent(component_id="v", kind=VOLUME, tiers=tiers))
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    assert (await proofs.prove(0, line(1))) is None
    _close(months, "2026-01", "2026-02")
    assert not closed(months, "2026-02").statement.credit_notes
    assert _due(months, "2026-02") == 30_000


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_month_is_put_right_as_a_whole_where_one_of_its_proofs_would_cost_more(
    order: tuple[int, int], proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    """Whatever their order; and no more is taken back than was given."""
    tiers = (Tier(from_records=0, unit_price=90_000), Tier(from_records=3, unit_price=10_000))
    graduated = PriceComponent(component_id="g", kind=GRADUATED, tiers=tiers)
    for start, *components in ((FEBRUARY,), (FEBRUARY + 86_400, graduated)):
        months.put(
            JANUARY + 1,
            PricePlan(
                plan_id=f"from-{start}",
                effective_from=start,
                prices={"": FEE},
                components=tuple(components),
            ),
        )
    await months.feed.refresh()
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    ledger.serve([served(FEBRUARY + 86_401, 2, "u")])
    ledger.serve([served(FEBRUARY + 86_402, 3, subject) for subject in "ab"])
    charged = months.statement("2026-02").total_micro_yuan
    given = [await proofs.prove(place) for place in order]
    # One record less costs 10,000 less; three less of before the tiers, some 210,000 more.
    assert [note.amount_micro_yuan for note in given if note] == [10_000] * (order == (1, 0))
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == charged


@pytest.mark.parametrize(
    ("credited", "prices", "subjects"),
    [(1, [5_000], 3), (2, [5_000], 3), (1, [4_000, 5_000], 4), (2, [4_000, 5_000], 3)],
)
async def test_records_of_a_credited_use_are_reversed_where_subjects_and_sources_are_counted(
    credited: int,
    prices: list[int],
    subjects: int,
    proofs: Proofs,
    months: Months,
    ledger: Ledger,
) -> None:
    """What is left of it is counted once by records, by subjects and by who disclosed it."""
    await _put(months, PriceComponent(component_id="s", kind=PER_SUBJECT, unit_price=7_001))
    by_contribution = RULE.model_copy(
        update={
            "rule_id": "contribution",
            "effective_from": FEBRUARY,
            "source_division": BY_CONTRIBUTION,
        }
    )
    months.put(JANUARY + 1, by_contribution)
    await months.feed.refresh()
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    ledger.serve([served(FEBRUARY + 2, 2, subject, "tax") for subject in "vw"])
    # At another price, so that the line has several.
    ledger.serve([served(FEBRUARY + 3, 3, "u")])
    assert (await proofs.prove(0, *(line(1, price) for price in prices))) is not None
    ledger.reverse(0, credited)
    _close(months, "2026-01", "2026-02", "2026-03")
    # What was credited is of the records that ought to count.
    assert _due(months, "2026-02", "2026-03") == subjects * 7_001


async def test_months_closed_before_this_was_so_are_worked_out_as_they_were(
    proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    _close(months, "2026-01", "2026-02")
    kept = closed(months, "2026-02")
    assert (await proofs.prove(0)) is not None
    for told in (None, "[]", "{}", "x"):
        with engines.evidence.begin() as connection:
            connection.execute(CLOSINGS.update().values(known_notes=told))
        assert months.closer.worked_out_again(closed(months, "2026-02")) == kept.document
    # A note that does not tell any more what it proved, as of those times, stays as it is.
    with engines.evidence.begin() as connection:
        connection.execute(CREDIT_NOTES.update().values(proven=None))
    ledger.reverse(0, 3)
    _close(months, "2026-03")
    assert not any(x.trued_up_month for x in closed(months, "2026-03").statement.credit_notes)


@always_on_postgresql
@pytest.mark.parametrize("away", [True, False])
@pytest.mark.parametrize("division", [OWN, BY_CONTRIBUTION])
@pytest.mark.parametrize(
    "promised",
    [
        line(2, source="tax"),
        line(2, source="never-seen"),
        line(3, FEE // 2),
    ],
)
async def test_what_was_promised_by_lines_or_records_that_there_are_none_of_is_given_back_too(
    promised: UsageLine,
    division: str,
    away: bool,
    proofs: Proofs,
    months: Months,
    ledger: Ledger,
    engines: Engines,
) -> None:
    """Of own records and of another region's: what is owed to that is for what it gave."""
    rule = {"rule_id": "r", "effective_from": FEBRUARY, "source_division": division}
    months.put(JANUARY + 1, RULE.model_copy(update=rule))
    await months.feed.refresh()
    ledger.serve(
        [served(FEBRUARY + 1, 1, subject) for subject in "xyz"], elsewhere={1} if away else ()
    )
    ledger.serve([served(FEBRUARY + 2, 2, "u", "tax")])
    note = await proofs.prove(0, promised)
    fee = promised.entries * promised.unit_price_micro_yuan
    assert note is not None
    assert note.amount_micro_yuan == 3 * FEE - fee == sum(amounts(note.shares).values())
    _close(months, "2026-01", "2026-02")
    # The store comes to know lines after it, the promised one the last.
    ledger.serve([served(MARCH + 1, 3, "u", source) for source in ("new", "never-seen")])
    _close(months, "2026-03")
    assert not any(x.trued_up_month for x in closed(months, "2026-03").statement.credit_notes)
    assert _due(months, "2026-02", "2026-03") == fee + FEE + 2 * FEE
    for name in _MONTHS[:3]:
        kept = closed(months, name)
        assert months.closer.worked_out_again(kept) == kept.document
        assert not check_month(engines, name).faults


@always_on_postgresql
@pytest.mark.parametrize("reversed_use", [0, 1])
async def test_note_that_does_not_tell_what_it_proved_is_put_right_with_a_newer_one_of_its_month(
    reversed_use: int, proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    for answer in (1, 2, 3):
        ledger.serve([served(FEBRUARY + 1, answer, subject) for subject in "xyz"])
    ledger.serve([served(MARCH + 1, 4)])
    # As one of before that was kept.
    assert (await proofs.prove(0)) is not None
    with engines.evidence.begin() as connection:
        connection.execute(CREDIT_NOTES.update().values(proven=None))
    assert (await proofs.prove(3)) is not None
    _close(months, "2026-01", "2026-02")
    ledger.reverse(2, 1)
    assert (await proofs.prove(1)) is not None
    ledger.reverse(reversed_use, 3)
    _close(months, "2026-03")
    (back,) = (x for x in closed(months, "2026-03").statement.credit_notes if x.trued_up_month)
    assert (back.trued_up_month, back.amount_micro_yuan) == ("2026-02", -3 * FEE)
    # Two records are left of the use that was charged right.
    assert _due(months, "2026-01", "2026-02", "2026-03") == 2 * FEE
    for name in _MONTHS[:3]:
        kept = closed(months, name)
        assert months.closer.worked_out_again(kept) == kept.document
        assert not check_month(engines, name).faults


async def test_closing_that_knew_no_newer_note_is_worked_out_again_as_it_was(
    proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    for answer in (1, 2):
        ledger.serve([served(FEBRUARY + 1, answer, subject) for subject in "xyz"])
    assert (await proofs.prove(0)) is not None
    with engines.evidence.begin() as connection:
        connection.execute(CREDIT_NOTES.update().values(proven=None))
    ledger.reverse(0, 3)
    _close(months, "2026-01", "2026-02")
    kept = closed(months, "2026-02")
    assert not kept.statement.credit_notes
    # The first use costs nothing any more, though three records were given back for it, and two of
    # the other ought not to count.
    assert (await proofs.prove(1, line(1))) is None
    _close(months, "2026-03")
    assert _due(months, "2026-02", "2026-03") == FEE
    assert months.closer.worked_out_again(kept) == kept.document
    assert not check_month(engines, "2026-02").faults


@pytest.mark.parametrize("promised", [line(1, source="tax"), line(6, 4_000)])
@pytest.mark.parametrize("reversed_first", [True, False])
async def test_proof_of_a_use_that_is_reversed_whole_takes_nothing_off_what_else_is_proven(
    promised: UsageLine,
    reversed_first: bool,
    proofs: Proofs,
    months: Months,
    ledger: Ledger,
    engines: Engines,
) -> None:
    """Also where it was promised by another line, or as more records that are cheaper."""
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    ledger.serve([served(FEBRUARY + 2, 2, "u", "tax")])
    assert (await proofs.prove(0, promised)) is not None
    if reversed_first:
        ledger.reverse(0, 3)
    await proofs.prove(1)
    if not reversed_first:
        ledger.reverse(0, 3)
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == 0
    assert not any(months.balances().values())
    assert not check_month(engines, "2026-02").faults


@pytest.mark.parametrize(
    ("promised", "credited", "due"),
    [
        # No more than are left, and the dearest is the first to go.
        ([line(2, 5_000, "tax"), line(1, 4_000, "tax")], 1, 5_000 + 4_000),
        ([line(6, 4_000)], 1, 2 * 4_000),
        # What would cost more than is charged of what is left: that is right as it is.
        ([line(1, 2 * FEE, "tax")], 2, FEE),
        ([line(1, 4_000), line(1, 5_000)], 1, 4_000),
    ],
)
async def test_what_is_left_of_a_use_that_is_reversed_in_part_is_no_more_than_was_given(
    promised: list[UsageLine],
    credited: int,
    due: int,
    proofs: Proofs,
    months: Months,
    ledger: Ledger,
) -> None:
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xyz"])
    ledger.serve([served(FEBRUARY + 2, 2, "u", "tax")])
    await proofs.prove(0, *promised)
    await proofs.prove(1)
    ledger.reverse(0, credited)
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == due


@pytest.mark.parametrize(
    "steps", [("p", "q", "r"), ("q", "p", "r"), ("r", "p", "q"), ("p", "r", "q"), ("q", "r", "p")]
)
@pytest.mark.parametrize(("other", "due"), [(line(2, FEE), 5_000), (line(1, 5_500, "tax"), 5_500)])
async def test_the_order_of_proofs_and_reversals_of_a_use_makes_no_difference(
    other: UsageLine,
    due: int,
    steps: tuple[str, ...],
    proofs: Proofs,
    months: Months,
    ledger: Ledger,
) -> None:
    """Also of proofs that make it dearer by themselves, or before a part is reversed."""
    ledger.serve([served(FEBRUARY + 1, 1, subject) for subject in "xy"])
    ledger.serve([served(FEBRUARY + 2, 2, "u", "tax")])
    for step in steps:
        match step:
            case "p":
                await proofs.prove(0, line(5, 5_000), line(3, 9_000, "tax"))
            case "q":
                await proofs.prove(0, other)
            case _:
                ledger.reverse(0, 1)
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == FEE + due


async def test_promise_of_more_records_takes_nothing_off_what_else_is_proven(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    tiers = (Tier(from_records=0, unit_price=7_000), Tier(from_records=3, unit_price=9_000))
    await _put(months, PriceComponent(component_id="g", kind=GRADUATED, tiers=tiers))
    for answer in (1, 2):
        ledger.serve([served(FEBRUARY + 1, answer, subject) for subject in "xyz"])
    assert (await proofs.prove(1)) is not None
    await proofs.prove(0, line(5, 1))
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == 3 * 7_000


async def test_note_whose_evidence_holds_no_more_leaves_its_month_alone_and_no_other(
    proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    for at in (FEBRUARY, FEBRUARY, MARCH):
        ledger.serve([served(at + 1, len(ledger.rows) + 1, subject) for subject in "xyz"])
    assert (await proofs.prove(0)) is not None
    with engines.evidence.begin() as connection:
        connection.execute(CREDIT_NOTES.update().values(proven=None))
    proofs.no_more()
    note = await proofs.prove(2)
    assert note is not None
    assert note.amount_micro_yuan == 3 * FEE
    with pytest.raises(Refused, match="earlier version"):
        await proofs.hand_in(1)
    _close(months, "2026-01", "2026-02", "2026-03")
    assert _due(months, "2026-02", "2026-03") == 3 * FEE


@pytest.mark.parametrize("seed", seeds(60, always=8))
async def test_in_the_end_is_due_what_ought_to_be(
    seed: int, proofs: Proofs, months: Months, ledger: Ledger, engines: Engines
) -> None:
    """Whatever the order of use, reversals, evidence and closings."""
    random = Random(seed)
    tiers = (Tier(from_records=0, unit_price=9_001), Tier(from_records=5, unit_price=3_003))
    await _put(
        months,
        *random.sample(
            (
                PriceComponent(component_id="cap", kind=CAP, amount=random.randint(1, 9) * FEE),
                PriceComponent(component_id="flat", kind=FLAT, amount=10_000),
                PriceComponent(component_id="s", kind=PER_SUBJECT, unit_price=7_001),
                PriceComponent(
                    component_id="t", kind=random.choice((GRADUATED, VOLUME)), tiers=tiers
                ),
            ),
            random.randint(0, 2),
        ),
    )
    # Evidence names lines that the store has.
    ledger.serve([served(FEBRUARY, 99, "m"), served(FEBRUARY, 99, "t", "tax")])
    month_of: dict[int, str] = {0: "2026-02"}
    left: dict[int, int] = {0: 2}
    gone: set[int] = set()
    open_from = 0
    for _ in range(30):
        match random.randrange(6):
            case 0 | 1:
                at, name = random.choice(((FEBRUARY, "2026-02"), (MARCH, "2026-03")))
                month_of[len(ledger.rows)], count = name, random.randint(1, 4)
                left[len(ledger.rows)] = count
                number = 100 + len(ledger.rows)
                ledger.serve(
                    [
                        served(at + number, number, chr(97 + n), random.choice(("mem", "tax")))
                        for n in range(count)
                    ],
                    elsewhere={number} if random.random() < 0.25 else (),
                )
            case 2 if reversible := [place for place, count in left.items() if count]:
                # Once of each, some or all.
                place = random.choice(reversible)
                records = random.choice((left[place], random.randint(1, left[place])))
                ledger.reverse(place, records)
                if records == left[place]:
                    gone.add(place)
                left[place] = 0
            case 3 | 4 if month_of:
                place = random.choice(list(month_of))
                lines = [
                    line(random.choice((0, 1, 2, 2, 6)), random.choice((FEE, 5_000)), source)
                    for source in ("mem", "tax")
                ]
                await proofs.prove(place, *lines)
            case 5 if open_from < 2:
                _close(months, _MONTHS[open_from])
                open_from += 1
            case _:
                pass
    _close(months, *_MONTHS[open_from:3])
    _close(months, "2026-04", now=APRIL + 40 * 86_400)
    due: Counter[str] = Counter()
    for name in _MONTHS:
        kept = closed(months, name)
        due.update(amounts(kept.statement.due_shares))
        assert months.closer.worked_out_again(kept) == kept.document
        assert not check_month(engines, name).faults
    ought: Counter[str] = Counter()
    for name in _MONTHS:
        month = month_named(name)
        assert month is not None
        proven = proofs.right(month_of, name)
        # Of what was reversed whole it makes no difference what is proven.
        standing = {place: lines for place, lines in proven.items() if place not in gone}
        charged, right = months.closer.as_it_ought("alpha", month, months.feed.current(), standing)
        cheaper = min(charged, right, key=lambda each: each.total_micro_yuan)
        ought.update(amounts(cheaper.shares))
    assert +due == +ought
    assert months.balances()["operators/alpha"] == sum(ought.values())


def _counted(lines: RightLines) -> dict[int, Counter[tuple[str, int]]]:
    found: dict[int, Counter[tuple[str, int]]] = {}
    for place, some in lines.items():
        found[place] = Counter()
        for each in some:
            found[place][each.source, each.unit_price_micro_yuan] += each.entries
    return found


def test_of_several_proofs_about_a_use_the_least_of_each_line_counts() -> None:
    price = Overcharge(CONFLICT, 7, [line(1, 1), line(1, 1, "tax")])
    count = Overcharge(CONFLICT, 7, [line(1, 100)])
    for both in ((price, count), (count, price), (price, count, price)):
        assert _counted(together(both)) == {7: Counter({("mem", 1): 1})}
    assert proves_more(price, together([count]))
    assert proves_more(count, together([price]))
    assert not proves_more(price, together([count, price]))
    several = Overcharge(CONFLICT, 7, [line(2, 10), line(1, 5)])
    assert _counted(together([several, Overcharge(CONFLICT, 7, [line(3, 7)])])) == {
        7: Counter({("mem", 7): 2, ("mem", 5): 1})
    }
    assert together([several, Overcharge(CONFLICT, 7, ())]) == {7: []}


async def test_what_new_evidence_makes_of_a_closed_month_is_put_right_by_the_next_closing(
    proofs: Proofs, months: Months, ledger: Ledger
) -> None:
    tiers = (Tier(from_records=0, unit_price=90_000), Tier(from_records=3, unit_price=10_000))
    await _put(months, PriceComponent(component_id="v", kind=VOLUME, tiers=tiers))
    ledger.serve(
        [served(FEBRUARY + 1, 1, each, source) for source in ("mem", "tax") for each in "xyz"]
    )
    _close(months, "2026-01", "2026-02")
    note = await proofs.prove(0, line(2), line(1, source="tax"))
    assert note is not None
    assert note.amount_micro_yuan == 30_000
    _close(months, "2026-03")
    # Three records cost as much as two: by whom they are disclosed is another matter.
    proofs.desk.clock.at = APRIL + 5
    assert (await proofs.prove(0, line(1), line(1, source="tax"))) is None
    _close(months, "2026-04", now=APRIL + 40 * 86_400)
    (moved,) = closed(months, "2026-04").statement.credit_notes
    assert (moved.trued_up_month, moved.amount_micro_yuan) == ("2026-02", 0)
    assert amounts(moved.shares)["sources/tax"] == -amounts(moved.shares)["sources/mem"] < 0


@always_on_postgresql
async def test_note_that_was_worked_out_before_a_closing_is_worked_out_anew(
    months: Months, ledger: Ledger, engines: Engines
) -> None:
    """Both would give back the same: the closing what is known by then, the note what it proves."""
    ledger.serve([served(FEBRUARY + 1, 1)])
    notes = SqlCreditNotes(engines.evidence)
    known = notes.of_operator("alpha")
    _close(months, "2026-01")
    late = CreditNote(credit_note_id="late", operator_id="alpha", amount_micro_yuan=1)
    with pytest.raises(NotesChanged):
        notes.add(late, b"", b"", MARCH, known, Overcharge(CONFLICT, 0, ()))
