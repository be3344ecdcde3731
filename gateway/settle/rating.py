"""Rating: what a month of use costs under the price plans that were in force. Pure.

Facts come as a `MonthUse` (gateway.settle.use), the result is a `Bill` (gateway.settle.bill);
who gets what of it is `gateway.settle.sharing.share_bill`. Reading, rating and sharing a
month goes so:

    starts = cuts(operator_id, month.from_, month.until, prices, sharing, classes)
    use = reader.month_use(operator_id, starts, month.until, classes.price_class)
    bill = rate(use, prices, classes)
    shared = share_bill(bill, use, sharing)

Each term of the month (gateway.settle.terms) is rated by itself:

1. use is priced, each by the first component of the plan that prices it, or by the price of
   its class. Prices of records are those charged at serving: what was promised is kept;
2. free tiers credit the part of the fees so far that their records are of those used;
3. flat fees are added;
4. the bill is raised to its minimum, then lowered to its cap.

An amount that is not of one use alone is divided among the uses it is about by largest
remainder: by their records, or, where it credits fees, by the fees.
"""

from collections.abc import Sequence
from itertools import groupby

from gateway.settle.bill import Bill, BillLine, Charge
from gateway.settle.classes import ClassBook
from gateway.settle.prices import PriceBook
from gateway.settle.term_rating import Cell, TermRating
from gateway.settle.terms import terms
from gateway.settle.use import MonthUse, UsePart


def rate(use: MonthUse, prices: PriceBook, classes: ClassBook) -> Bill:
    """Return the bill of ``use``: the same for the same facts and books, in any order."""
    cells = _cells(use.parts)
    charges: list[Charge] = []
    lines: list[BillLine] = []
    plan_ids: dict[str, None] = {}
    for term in terms(use.operator_id, use.from_, use.until, prices, classes):
        within = [cell for cell in cells if term.from_ <= cell.use.part_from < term.until]
        before = len(charges)
        TermRating(term, within, use.subjects, charges, lines).rate()
        if term.plan is not None and len(charges) > before:
            plan_ids[term.plan.plan_id] = None
    return Bill(
        use.operator_id,
        use.from_,
        use.until,
        tuple(charges),
        tuple(lines),
        sum(charge.fee for charge in charges),
        tuple(plan_ids),
    )


def _cells(parts: Sequence[UsePart]) -> list[Cell]:
    """Return parts alike as one, in order, so that neither order nor grouping matters."""
    cells: list[Cell] = []
    numbered = sorted(enumerate(parts), key=lambda each: each[1])
    for alike, group in groupby(numbered, key=lambda each: each[1]._replace(records=0, answers=0)):
        same = list(group)
        records = sum(part.records for _, part in same)
        if any(part.records < 0 for _, part in same):
            raise ValueError("use net of reversals is never negative")
        if records:
            answers = sum(part.answers for _, part in same)
            use = alike._replace(records=records, answers=answers)
            cells.append(Cell(use, tuple(index for index, _ in same)))
    return cells
