"""What a month was rated by: told with its statement, and made into books again. Pure.

A basis has of plans and classes what decides within the month: so the same use gives the same bill
by it as by the books it was taken from.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple, TypeVar

from creditgate.rating.bill import Bill
from creditgate.rating.classes import Classes, History, OperatorStanding
from creditgate.rating.components import PER_SUBJECT
from creditgate.rating.plans import plan_digest, plan_of
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.terms import Starts, cuts
from creditgate.rating.timeline import Timeline
from creditgate.rating.use import RatedUse
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.usage_service_pb2 import (
    ItemClassPeriod,
    OperatorPeriod,
    RatedPlan,
    RatingBasis,
    SubjectCount,
)

_Value = TypeVar("_Value")


class GivenStarts(NamedTuple):
    """Starts of sharing rules, as a basis tells them."""

    starts: tuple[int, ...]

    def starts_between(self, after: int, until: int) -> Iterable[int]:
        """Return those strictly between two instants."""
        return tuple(start for start in self.starts if after < start < until)


class RatedBy(NamedTuple):
    """The books of a basis; ``subjects`` by component and start of the term."""

    prices: PriceBook
    classes: Classes
    sharing: GivenStarts
    subjects: Mapping[tuple[str, int], int]

    def cuts(self, operator_id: str, from_: int, until: int) -> tuple[int, ...]:
        """Return where a month [from_, until) is cut by these books."""
        return cuts(operator_id, from_, until, self.prices, self.sharing, self.classes)


def basis_of(
    bill: Bill, use: RatedUse, prices: PriceBook, sharing: Starts, classes: Classes
) -> RatingBasis:
    """Return what ``bill``, the rating of ``use``, rests on."""
    from_, until = use.from_, use.until
    used = {part.item for part in use.parts}
    return RatingBasis(
        plans=(
            RatedPlan(plan_id=plan.plan_id, sha256=plan_digest(plan))
            for plan in _deciding(prices.plans, from_, until)
        ),
        item_classes=(
            ItemClassPeriod(item=item, price_class=price_class, start_seconds=start)
            for item, history in sorted(classes.items.items())
            if item in used or any(history.between(from_, until))
            for start, price_class in _within(history, from_, until)
        ),
        operator_periods=(
            OperatorPeriod(
                operator_class=standing.operator_class, stands=standing.stands, start_seconds=start
            )
            for start, standing in _within(
                classes.operators.get(use.operator_id, History[OperatorStanding]()), from_, until
            )
        ),
        sharing_starts=sharing.starts_between(from_, until),
        subjects=(
            SubjectCount(
                component_id=charge.component,
                start_seconds=charge.from_,
                subjects=charge.quantity,
            )
            for charge in bill.charges
            if charge.kind == PER_SUBJECT
        ),
    )


def rated_by(basis: RatingBasis, operator_id: str, plans: Iterable[bytes]) -> RatedBy:
    """Return the books of a basis. ``plans`` are serialised PricePlans, in any order.

    Raises ProofInvalid where one that it names is not among them, or what it tells is no basis.
    """
    given = {sha256(plan).digest(): plan for plan in plans}
    named: list[PricePlan] = []
    for each in basis.plans:
        serialised = given.get(each.sha256)
        if serialised is None:
            raise ProofInvalid(f"the price plan {each.plan_id!r} is not the one rated by")
        named.append(plan_of(serialised))
        if named[-1].plan_id != each.plan_id:
            raise ProofInvalid("a price plan is named otherwise than it names itself")
    items: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for period in basis.item_classes:
        items[period.item].append((period.start_seconds, period.price_class))
    operator = [
        (each.start_seconds, OperatorStanding(each.operator_class, each.stands))
        for each in basis.operator_periods
    ]
    return RatedBy(
        PriceBook(Timeline(named)),
        Classes(
            {item: _history(periods) for item, periods in items.items()},
            {operator_id: _history(operator)},
        ),
        GivenStarts(tuple(basis.sharing_starts)),
        subject_counts(basis.subjects),
    )


def subject_counts(told: Iterable[SubjectCount]) -> Mapping[tuple[str, int], int]:
    """Return counts of subjects by component and start of the term. Raises ProofInvalid."""
    found: dict[tuple[str, int], int] = {}
    for each in told:
        if (each.component_id, each.start_seconds) in found or each.subjects < 0:
            raise ProofInvalid("subjects are counted twice, or less than none")
        found[each.component_id, each.start_seconds] = each.subjects
    return found


def _deciding(plans: Timeline[PricePlan], from_: int, until: int) -> Iterable[PricePlan]:
    instants = (from_, *plans.starts_between(from_, until))
    return (plan for at in instants if (plan := plans.at(at)) is not None)


def _within(history: History[_Value], from_: int, until: int) -> Iterable[tuple[int, _Value]]:
    """Yield what decides within a month, and since when."""
    for index, (start, value) in enumerate(zip(history.starts, history.values, strict=True)):
        ends = history.starts[index + 1] if index + 1 < len(history.starts) else until
        if start < until and ends > from_:
            yield start, value


def _history(periods: list[tuple[int, _Value]]) -> History[_Value]:
    starts, values = zip(*periods, strict=True) if periods else ((), ())
    if list(starts) != sorted(starts):
        raise ProofInvalid("the periods of a class are not in order")
    return History(starts, values)
