"""Terms: the parts of a month in which everything that decides about prices stands still. Pure."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from gateway.settle.classes import ClassBook
from gateway.settle.prices import PriceBook, PricePlan
from gateway.settle.shares import SharingBook


class Term(NamedTuple):
    """A part [from_, until) of a month (seconds, UTC) with one plan and one operator class.

    ``stands`` is False where the operator was not registered yet, or was revoked: it owes
    for use then, but nothing for time. ``month_seconds`` is the length of the month.
    """

    from_: int
    until: int
    plan: PricePlan | None
    operator_class: str
    stands: bool
    month_seconds: int

    def prorated(self, monthly: int) -> int:
        """Return the term's part of a number or amount by the month, rounded down.

        Whoever changes plan or class in a month gets, and owes, the part of each.
        """
        return monthly * (self.until - self.from_) // self.month_seconds


def cuts(
    operator_id: str,
    from_: int,
    until: int,
    prices: PriceBook,
    sharing: SharingBook,
    classes: ClassBook,
) -> tuple[int, ...]:
    """Return where a month [from_, until) has to be cut for rating and sharing.

    The first is ``from_``; within a cut price plan, sharing rule, operator class and all
    price classes stay what they are.
    """
    return tuple(
        sorted(
            {
                from_,
                *prices.plans.starts_between(from_, until),
                *sharing.rules.starts_between(from_, until),
                *classes.operator_starts(operator_id, from_, until),
                *classes.item_starts(from_, until),
            }
        )
    )


def terms(
    operator_id: str, from_: int, until: int, prices: PriceBook, classes: ClassBook
) -> Iterator[Term]:
    """Yield the terms of a month [from_, until), in order; together they are the month."""
    starts = {
        from_,
        *prices.plans.starts_between(from_, until),
        *classes.operator_starts(operator_id, from_, until),
    }
    for start, end in pairwise((*sorted(starts), until)):
        standing = classes.standing(operator_id, start)
        yield Term(start, end, prices.plan_at(start), *standing, until - from_)
