"""Closed statements of a real store are what their operator works out from the usage log."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

import pytest

from creditgate.rating.checking import check_statement
from creditgate.rating.components import (
    FREE_TIER,
    PER_SUBJECT,
    VOLUME,
    PriceComponent,
    Tier,
)
from creditgate.rating.grounds import Grounds, RatedMonth
from creditgate.rating.logged import LoggedUse, logged_uses
from creditgate.rating.plans import plan_bytes, plan_digest
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.timeline import Timeline
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine
from creditgate.v1.usage_service_pb2 import RatedPlan, RatingBasis, Statement
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.meter.model import ANSWER, lines_of
from gateway.settle.dry_run import dry_run
from gateway.settlement.documents import document_bytes
from gateway.settlement.statement import without_basis
from gateway.settlement.statement_credit import WrongStatement, statement_note
from gateway.settlement.tables import CLOSINGS
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.settlement.test_closing import FEE, closed, served
from tests.settlement.world import FEBRUARY, JANUARY, PLAN, Ledger, Months

pytestmark = rarely_on_postgresql

DAY = 86_400
PLANS = (
    PricePlan(
        plan_id="subjects",
        effective_from=JANUARY + 10 * DAY,
        prices={"": FEE},
        components=(
            PriceComponent(component_id="each", kind=PER_SUBJECT, unit_price=70),
            PriceComponent(component_id="free", kind=FREE_TIER, records=1),
        ),
    ),
    PricePlan(plan_id="back", effective_from=FEBRUARY, prices={"": FEE}),
)


def uses_of(ledger: Ledger) -> list[LoggedUse]:
    """Return what the leaves of the ledger's rows count."""
    return logged_uses(_leaves(ledger))


def _leaves(ledger: Ledger) -> Iterator[tuple[UsageLeaf, Sequence[UsageLine]]]:
    names = {number: key for key, number in ledger.line_of.items()}
    for row in ledger.rows:
        kind = UsageKind.USAGE_KIND_ANSWER if row.kind == ANSWER else UsageKind.USAGE_KIND_REVERSAL
        leaf = UsageLeaf(
            kind=kind,
            usage_index=row.usage_index,
            purpose=Purpose.ValueType(row.purpose),
            serve_seconds=row.served_at,
            reversed_index=row.reversed_index or 0,
        )
        yield (
            leaf,
            [
                UsageLine(
                    item=names[line.line_no][0],
                    source=names[line.line_no][1],
                    region=names[line.line_no][2],
                    entries=line.records,
                    unit_price_micro_yuan=line.unit_price,
                )
                for line in lines_of(row.lines)
            ],
        )


async def _three_months(months: Months, ledger: Ledger) -> tuple[Grounds, list[Statement]]:
    """Close January and February, of which January's was added to and credited after it closed."""
    months.put(JANUARY, *PLANS)
    await months.feed.refresh()
    ledger.serve([served(JANUARY + n, n, "x") for n in range(2)])
    ledger.serve(
        [served(JANUARY + 11 * DAY, 3, subject)._replace(unit_price=0) for subject in ("x", "y")]
    )
    ledger.serve([served(JANUARY + 12 * DAY, 4, "z")._replace(unit_price=0)])
    months.close("2026-01", "r1")
    ledger.serve([served(FEBRUARY + 5, 5)])
    ledger.serve([served(JANUARY + 13 * DAY, 6, "w")._replace(unit_price=0)])
    ledger.reverse(0, 1)
    months.close("2026-02", "r2")
    plans = [plan_bytes(plan) for plan in (PLAN, *PLANS)]
    statements = [closed(months, name).statement for name in ("2026-01", "2026-02")]
    return Grounds(uses_of(ledger), plans, []), statements


@always_on_postgresql
async def test_statements_with_late_use_credits_and_subjects_are_worked_out(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, february) = await _three_months(months, ledger)
    assert [each.subjects for each in january.basis.subjects] == [3]
    assert check_statement(january, grounds).faults == ()
    assert len(february.adjustments) == 1
    assert february.adjustments[0].amount_micro_yuan < 0
    for earlier in ([], [january]):
        checked = check_statement(february, grounds._replace(earlier=earlier))
        assert (checked.faults, checked.overcharge) == ((), 0)
    assert any("subjects" in each for each in check_statement(january, grounds).unchecked)


@always_on_postgresql
async def test_a_price_by_subject_counts_subjects_of_other_regions_once_for_whoever_works_it_out(
    months: Months, ledger: Ledger
) -> None:
    by_subject = PLANS[0].model_copy(
        update={"effective_from": JANUARY, "components": PLANS[0].components[:1]}
    )
    at = JANUARY + DAY
    own = [served(at, 1, "x")._replace(unit_price=0), served(at, 2, "z")._replace(unit_price=0)]
    away = [served(at, 3, each)._replace(unit_price=0) for each in ("x", "y", "y")]
    ledger.serve([*own, *away], elsewhere={3})
    use = months.months.month_use("alpha", [JANUARY], FEBRUARY, lambda item, at: "")
    by_record = PriceBook(Timeline((PLAN,)))
    view = months.feed.current()
    tried = dry_run(use, by_subject, by_record, view.sharing.rules, view.classes)
    assert tried.tried.total == 3 * 70
    months.put(JANUARY + 1, by_subject)
    await months.feed.refresh()
    months.close("2026-01")
    statement = closed(months, "2026-01").statement
    assert [each.subjects for each in statement.basis.subjects] == [3]
    assert statement.total_micro_yuan == 3 * 70
    plans = [plan_bytes(plan) for plan in (PLAN, by_subject)]
    checked = check_statement(statement, Grounds(uses_of(ledger), plans, []))
    assert (checked.faults, checked.overcharge) == ((), 0)
    assert any("subjects" in each for each in checked.unchecked)
    assert months.closer.worked_out_again(closed(months, "2026-01")) == (
        closed(months, "2026-01").document
    )


async def test_a_credit_of_an_earlier_month_that_was_dropped_is_convicted(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, february) = await _three_months(months, ledger)
    amount = february.adjustments[0].amount_micro_yuan
    del february.adjustments[:]
    february.due_micro_yuan -= amount
    checked = check_statement(february, grounds._replace(earlier=[january]))
    # At least: nothing tells whom the late use was about.
    assert -amount - 70 <= checked.overcharge <= -amount
    assert "adjustment of 2026-01" in [fault.where for fault in checked.faults]


async def test_an_adjustment_that_forgets_what_was_settled_is_convicted(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, february) = await _three_months(months, ledger)
    adjustment = february.adjustments[0]
    before = adjustment.before_micro_yuan
    adjustment.settled_usage_size = 0
    adjustment.before_micro_yuan = 0
    adjustment.amount_micro_yuan = adjustment.after_micro_yuan
    del adjustment.settled_subjects[:]
    february.due_micro_yuan += before
    checked = check_statement(february, grounds._replace(earlier=[january]))
    assert checked.overcharge == before > 0


async def test_more_subjects_than_records_are_convicted(months: Months, ledger: Ledger) -> None:
    grounds, (january, _) = await _three_months(months, ledger)
    january.basis.subjects[0].subjects = 4
    checked = check_statement(january, grounds)
    assert any("subjects of each" in fault.where for fault in checked.faults)


@pytest.mark.parametrize("month", ["2026-01", "2026-02"])
async def test_months_closed_before_there_was_a_basis_are_worked_out_to_the_same_bytes(
    months: Months, ledger: Ledger, month: str
) -> None:
    await _three_months(months, ledger)
    kept = closed(months, month)
    assert months.closer.worked_out_again(kept) == kept.document
    statement = kept.statement
    without_basis(statement)
    former = kept._replace(document=document_bytes(statement))
    assert former.document != kept.document
    assert months.closer.worked_out_again(former) == former.document


DEAR = PricePlan(
    plan_id="dear",
    effective_from=0,
    prices={"": FEE},
    components=(
        PriceComponent(
            component_id="all", kind=VOLUME, tiers=(Tier(from_records=0, unit_price=9_000_000),)
        ),
    ),
)


async def _late_record(months: Months, ledger: Ledger) -> tuple[Grounds, list[Statement]]:
    """Close January and February, with a record of January that came after it was closed."""
    ledger.serve([served(JANUARY + n, n, "xy"[n]) for n in range(2)])
    months.close("2026-01", "r1")
    ledger.serve([served(JANUARY + 13 * DAY, 6, "w"), served(FEBRUARY + 5, 7)])
    months.close("2026-02", "r2")
    statements = [closed(months, name).statement for name in ("2026-01", "2026-02")]
    return Grounds(uses_of(ledger), [plan_bytes(PLAN), plan_bytes(DEAR)], []), statements


def _by(statement: Statement, plan: PricePlan, grounds: Grounds) -> Statement:
    """Return the same closed month rated by another plan, as a gateway would sign it."""
    basis = RatingBasis(plans=[RatedPlan(plan_id=plan.plan_id, sha256=plan_digest(plan))])
    other = RatedMonth(statement, basis, grounds).rated(statement.usage_size, statement.month)
    other.close_time.CopyFrom(statement.close_time)
    other.usage_size = statement.usage_size
    other.basis.CopyFrom(basis)
    for part, fee in (
        *((line.shares, line.fee_micro_yuan) for line in other.lines),
        (other.shares, other.total_micro_yuan),
        (other.due_shares, other.due_micro_yuan),
    ):
        part.add(beneficiary="platform", amount_micro_yuan=fee)
    return other


async def test_an_adjustment_by_a_dearer_plan_than_its_closed_month_is_convicted(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, february) = await _late_record(months, ledger)
    (late,) = february.adjustments
    assert check_statement(february, grounds._replace(earlier=[january])).faults == ()
    dear, due = 9_000_000, february.due_micro_yuan
    late.basis.plans[0].plan_id, late.basis.plans[0].sha256 = DEAR.plan_id, plan_digest(DEAR)
    late.before_micro_yuan, late.after_micro_yuan = 2 * dear, 3 * dear
    late.amount_micro_yuan = late.lines[0].fee_micro_yuan = dear
    late.shares[0].amount_micro_yuan += dear - FEE
    february.due_micro_yuan += dear - FEE
    february.due_shares[0].amount_micro_yuan += dear - FEE
    checked = check_statement(february, grounds._replace(earlier=[january]))
    assert (checked.due, checked.overcharge) == (due + dear - FEE, dear - FEE)
    assert checked.faults[0].where == "basis of the adjustment of 2026-01, plans"


async def test_a_class_other_than_that_of_the_closed_month_is_convicted(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, february) = await _late_record(months, ledger)
    period = february.adjustments[0].basis.item_classes.add(item="penalty", price_class="extra")
    where = "basis of the adjustment of 2026-01, class of penalty"
    checked = check_statement(february, grounds._replace(earlier=[january]))
    assert [fault.where for fault in checked.faults] == [where]
    january.basis.item_classes.append(period)
    assert check_statement(february, grounds._replace(earlier=[january])).faults == ()
    period.item = "licence"
    february.adjustments[0].basis.item_classes.append(period)
    # January had no use of it, so its statement tells nothing of it.
    assert check_statement(february, grounds._replace(earlier=[january])).faults == ()


async def test_two_closed_statements_of_a_month_convict_with_the_lower_one_due(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, _) = await _late_record(months, ledger)
    second = _by(january, DEAR, grounds)
    assert check_statement(second, grounds).faults == ()
    checked = check_statement(second, grounds._replace(earlier=[january]))
    assert checked.overcharge == second.due_micro_yuan - january.due_micro_yuan > 0
    assert [fault.where for fault in checked.faults] == ["closed twice, due"]
    opened = Statement()
    opened.CopyFrom(january)
    opened.ClearField("close_time")
    # What is told while a month is open may change, and a document may be shown twice.
    assert check_statement(january, grounds._replace(earlier=[opened, january])).faults == ()


async def test_one_id_of_two_plans_is_convicted(months: Months, ledger: Ledger) -> None:
    grounds, (january, february) = await _late_record(months, ledger)
    other = PLAN.model_copy(update={"components": DEAR.components})
    grounds = grounds._replace(plans=[*grounds.plans, plan_bytes(other)])
    del february.adjustments[:]
    second = _by(february, other, grounds)
    assert check_statement(second, grounds).faults == ()
    checked = check_statement(second, grounds._replace(earlier=[january]))
    assert "price plan plan" in [fault.where for fault in checked.faults]


async def test_a_late_use_of_a_month_closed_before_there_was_a_basis_accuses_nobody(
    months: Months, ledger: Ledger
) -> None:
    grounds, (january, february) = await _three_months(months, ledger)
    without_basis(january)
    # What a gateway tells that knows no basis of January.
    del february.adjustments[0].settled_subjects[:]
    for earlier in ([], [january]):
        checked = check_statement(february, grounds._replace(earlier=earlier))
        assert (checked.faults, checked.overcharge) == ((), 0)
        assert any("how many subjects were settled" in each for each in checked.unchecked)
    february.adjustments[0].before_micro_yuan -= 1
    assert check_statement(february, grounds._replace(earlier=[january])).faults


async def test_what_a_closed_statement_charged_too_much_is_given_back_once(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + n, n, "xy"[n]) for n in range(2)])
    months.close("2026-01", "r1")
    january = closed(months, "2026-01").statement
    padding = 1_000_000
    for shares in (january.shares, january.due_shares, january.lines[0].shares):
        shares.add(beneficiary="platform", amount_micro_yuan=padding)
    january.lines[0].fee_micro_yuan += padding
    january.total_micro_yuan += padding
    january.due_micro_yuan += padding
    document = document_bytes(january)
    with ledger.engines.evidence.begin() as connection:
        connection.execute(
            CLOSINGS.update().values(
                document=document,
                total=january.total_micro_yuan,
                due=january.due_micro_yuan,
                digest=sha256(document).digest(),
            )
        )
    right = months.closer.as_closed("alpha", "2026-01")
    assert right is not None
    note = statement_note(WrongStatement(january, padding), right, [])
    assert note.amount_micro_yuan == padding
    ledger.serve([served(JANUARY + 13 * DAY, 6, "w"), served(FEBRUARY + 5, 7)])
    months.close("2026-02", "r2")
    february = closed(months, "2026-02").statement
    (late,) = february.adjustments
    # The note gives the padding back: the adjustment has what came late, and no more.
    assert (late.before_micro_yuan, late.amount_micro_yuan) == (2 * FEE, FEE)
    grounds = Grounds(uses_of(ledger), [plan_bytes(PLAN)], [january])
    assert check_statement(february, grounds).faults == ()
    assert check_statement(january, grounds).overcharge == padding
