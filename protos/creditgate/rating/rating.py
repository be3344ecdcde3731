"""Rating: what a month of use costs under the price plans that were in force. Pure.

Facts come as a `MonthUse` (creditgate.rating.use), the result is a `Bill` (creditgate.rating.bill);
who gets what of it is `gateway.settle.sharing.share_bill`. Reading, rating and sharing a
month goes so:

    starts = cuts(operator_id, month.from_, month.until, prices, sharing.rules, classes)
    use = reader.month_use(operator_id, starts, month.until, classes.price_class)
    bill = rate(use, prices, classes)
    shared = share_bill(bill, use, sharing)

The terms of the month (creditgate.rating.terms) are rated one behind the other:

1. use is priced, each by the first component of the plan that prices it, or by the price of
   its class. Prices of records are those charged at serving: what was promised is kept;
2. free tiers credit the part of the term's fees that their records are of those used;
3. flat fees are added for the time of the term;
4. the bill so far is lowered to the cap;

and when all are, the bill is raised to the month's minimum, of which each term has its time's
part.

A change within the month acts on what comes after it alone. What the terms before were rated at
stays; their use counts where a plan goes by what was used in the month. So tiers go on from the
records used, a free tier has left what was not free before, a subject that was counted is not
counted again, and a cap allows what is left of it.

An amount that is not of one use alone is divided among the uses it is about by largest
remainder: by their records, or, where it credits fees, by the fees.
"""

from collections.abc import Sequence

from creditgate.rating.bill import Bill, Charge, Explanation, RatedCell
from creditgate.rating.booking import Booking
from creditgate.rating.classes import Classes
from creditgate.rating.components import MINIMUM, PriceComponent
from creditgate.rating.prices import PriceBook
from creditgate.rating.term_rating import TermRating
from creditgate.rating.terms import Term, terms
from creditgate.rating.use import RatedUse


def rate(use: RatedUse, prices: PriceBook, classes: Classes) -> Bill:
    """Return the bill of ``use``: the same for the same facts and books, in any order."""

    def operator_class(at: int) -> str:
        return classes.standing(use.operator_id, at).operator_class

    booking = Booking(use.parts, operator_class)
    rated: set[str] = set()
    asked: list[_Asked] = []
    whole = tuple(terms(use.operator_id, use.from_, use.until, prices, classes))
    for term in whole:
        before = len(booking.charges)
        rating = TermRating(term, use.subjects, booking)
        rating.rate()
        least = rating.least()
        if least is not None:
            asked.append((term, *least))
        if len(booking.charges) > before:
            rated |= _plans(term)
    if _minimum(asked, booking):
        rated |= {plan for term, _, _ in asked for plan in _plans(term)}
    in_order = (span.plan.plan_id for term in whole for span in term.spans if span.plan)
    return Bill(
        use.operator_id,
        use.from_,
        use.until,
        tuple(booking.charges),
        tuple(booking.lines),
        booking.total,
        tuple(dict.fromkeys(plan for plan in in_order if plan in rated)),
        tuple(
            RatedCell(cell.indexes, cell.use.records, fee)
            for cell, fee in zip(
                booking.cells[: booking.used], booking.fees[: booking.used], strict=True
            )
        ),
    )


# A term, its part of the month's minimum, and the component that asks for it.
_Asked = tuple[Term, int, PriceComponent]


def _minimum(asked: Sequence[_Asked], booking: Booking) -> bool:
    """Raise the bill to the month's minimum, the sum of the parts of its terms.

    Tells whether it had to be raised.
    """
    least, before = sum(part for _, part, _ in asked), booking.total
    if before >= least:
        return False
    last, _, component = asked[-1]
    spans = [span for term, _, _ in asked for span in term.spans]
    fee = least - before
    why = Explanation("minimum", {"minimum": least, "amount": before, "fee": fee})
    plan_id = last.plan.plan_id if last.plan else ""
    head = plan_id, component.component_id, MINIMUM, asked[0][0].from_, last.until
    cells = list(range(booking.used)) or booking.of_no_use(spans)
    booking.book(Charge(*head, 0, (), fee, why), cells)
    return True


def _plans(term: Term) -> set[str]:
    return {span.plan.plan_id for span in term.spans if span.plan}
