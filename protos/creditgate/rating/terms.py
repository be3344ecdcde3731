"""Terms: the parts of a month in which everything that decides about prices stands still. Pure."""

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol

from creditgate.rating.classes import Classes
from creditgate.rating.components import PriceComponent
from creditgate.rating.prices import PriceBook, PricePlan

_Content = tuple[tuple[tuple[str, int], ...], tuple[PriceComponent, ...]] | None


class Starts(Protocol):
    """Things put into force, as far as it matters when."""

    def starts_between(self, after: int, until: int) -> Iterable[int]:
        """Return the different starts strictly between two instants, in order."""
        ...


class Span(NamedTuple):
    """A part [from_, until) of a month (seconds, UTC) with one plan and one operator class.

    ``stands`` is False where the operator was not registered yet, or was revoked: it owes
    for use then, but nothing for time.
    """

    from_: int
    until: int
    plan: PricePlan | None
    operator_class: str
    stands: bool

    @property
    def content(self) -> _Content:
        """What the plan says to operators of the class, whatever the plan is called."""
        if self.plan is None:
            return None
        return (
            tuple(sorted(self.plan.prices.items())),
            tuple(each for each in self.plan.components if each.for_class(self.operator_class)),
        )


class Term(NamedTuple):
    """Spans of the month [month_from, month_until) behind each other in which the same is said.

    A plan that says what the one before it said, or a class of operators to which the same
    applies, begins no new term.
    """

    spans: tuple[Span, ...]
    month_from: int
    month_until: int

    @property
    def from_(self) -> int:
        """First instant (seconds, UTC)."""
        return self.spans[0].from_

    @property
    def until(self) -> int:
        """First instant after it."""
        return self.spans[-1].until

    @property
    def plan(self) -> PricePlan | None:
        """The plan that it began with; None where none was in force."""
        return self.spans[0].plan

    @property
    def operator_class(self) -> str:
        """The operator's class at its start."""
        return self.spans[0].operator_class

    @property
    def stands(self) -> bool:
        """Whether the operator stood."""
        return self.spans[0].stands

    def of_time(self, monthly: int) -> int:
        """Return the term's part of an amount by the month, in proportion to its seconds.

        Each instant has the part of the month up to it, rounded down: terms behind each other
        have together what they would have as one.
        """
        length = self.month_until - self.month_from
        return (
            monthly * (self.until - self.month_from) // length
            - monthly * (self.from_ - self.month_from) // length
        )


def cuts(
    operator_id: str,
    from_: int,
    until: int,
    prices: PriceBook,
    sharing: Starts,
    classes: Classes,
) -> tuple[int, ...]:
    """Return where a month [from_, until) has to be cut for rating and sharing.

    The first is ``from_``; within a cut what plans say, sharing rule, operator class and all
    price classes stay what they are. ``sharing`` are the sharing rules.
    """
    return tuple(
        sorted(
            {
                from_,
                *(term.from_ for term in terms(operator_id, from_, until, prices, classes)),
                *sharing.starts_between(from_, until),
                *classes.operator_starts(operator_id, from_, until),
                *classes.item_starts(from_, until),
            }
        )
    )


def terms(
    operator_id: str, from_: int, until: int, prices: PriceBook, classes: Classes
) -> Iterator[Term]:
    """Yield the terms of a month [from_, until), in order; together they are the month."""
    starts = {
        from_,
        *prices.plans.starts_between(from_, until),
        *classes.operator_starts(operator_id, from_, until),
    }
    spans = (
        Span(start, end, prices.plan_at(start), *classes.standing(operator_id, start))
        for start, end in pairwise((*sorted(starts), until))
    )
    for _, alike in groupby(spans, key=lambda span: (span.stands, span.content)):
        yield Term(tuple(alike), from_, until)
