"""Dry run: what past use would have cost by another plan. Pure; nothing is kept."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from creditgate.rating.bill import Bill
from creditgate.rating.components import Priced
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.rating import rate
from creditgate.rating.terms import Starts, cuts
from creditgate.rating.timeline import Timeline
from creditgate.rating.use import UsePart
from gateway.settle.classes import ClassBook
from gateway.settle.use import Combination, MonthUse


@dataclass(frozen=True, slots=True)
class Tried:
    """A month as it was rated, and as the plan tried would rate it.

    ``unpriced`` records have no price in the plan tried: they would not have been served,
    and count nothing in ``tried``.
    """

    rated: Bill
    tried: Bill
    unpriced: int


def dry_run(
    use: MonthUse, plan: PricePlan, prices: PriceBook, sharing: Starts, classes: ClassBook
) -> Tried:
    """Return what ``use`` costs by the plans in force, and would by ``plan`` all the month;
    ``sharing`` are the sharing rules."""
    from_start = plan.model_copy(update={"effective_from": use.from_})
    alone = PriceBook(Timeline((from_start,)))
    # Not where the plans in force cut the month: what is divided among parts is rounded by them.
    starts = cuts(use.operator_id, use.from_, use.until, alone, sharing, classes)
    operator_classes = {
        start: classes.standing(use.operator_id, start).operator_class
        for start in {part.part_from for part in use.parts}
    }
    list_prices = [
        from_start.list_price(
            Priced(part.item, part.price_class, part.purpose, operator_classes[part.part_from])
        )
        for part in use.parts
    ]
    tried = _Repriced(
        use,
        tuple(
            part._replace(
                part_from=starts[bisect_right(starts, part.part_from) - 1],
                unit_price=price or 0,
                records=0 if price is None else part.records,
            )
            for part, price in zip(use.parts, list_prices, strict=True)
        ),
    )
    return Tried(
        rate(use, prices, classes),
        rate(tried, alone, classes),
        sum(
            part.records
            for part, price in zip(use.parts, list_prices, strict=True)
            if price is None
        ),
    )


@dataclass(frozen=True, slots=True)
class _Repriced:
    """A month's use in other parts, at other list prices; otherwise what it was."""

    use: MonthUse
    parts: Sequence[UsePart]

    @property
    def operator_id(self) -> str:
        return self.use.operator_id

    @property
    def from_(self) -> int:
        return self.use.from_

    @property
    def until(self) -> int:
        return self.use.until

    def subjects(self, parts: Collection[int]) -> int:
        return self.use.subjects(parts)

    def combinations(self) -> Sequence[Combination]:
        return self.use.combinations()
