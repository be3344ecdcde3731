"""Rating written down plainly: fractions instead of rounding, one record at a time.

Independent of `creditgate.rating.rating`; it knows components only as documents say them, and it
reckons by the month: what was used before counts, and is not priced anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from creditgate.rating.components import (
    CAP,
    CHARGING,
    FLAT,
    FREE_TIER,
    MINIMUM,
    PER_RECORD,
    PER_SUBJECT,
    VOLUME,
    PriceComponent,
)
from creditgate.rating.prices import PricePlan
from tests.settle.drawn import MONTH, Books
from tests.settle.month import Served


class _Span(NamedTuple):
    from_: int
    until: int
    plan: PricePlan
    operator_class: str
    stands: bool

    def says(self) -> object:
        """Return what is said to the operator, in words that can be compared."""
        return self.stands, dict(self.plan.prices), self.applying()

    def applying(self) -> list[PriceComponent]:
        return [
            each
            for each in self.plan.components
            if not each.operator_classes or self.operator_class in each.operator_classes
        ]


@dataclass
class _Month:
    """What was used so far in the month, and what it came to."""

    total: Fraction = Fraction(0)
    minimum: int = 0
    used: list[Served] = field(default_factory=list[Served])
    counted: list[Served] = field(default_factory=list[Served])
    """Use that was priced by its subjects."""
    free: list[tuple[Served, Fraction]] = field(default_factory=list[tuple[Served, Fraction]])
    """How much of each record was free."""


def plain_total(known: Books, facts: Sequence[Served]) -> Fraction:
    """Return what a month costs, in micro-yuan, nothing rounded but numbers of records."""
    month = _Month()
    for span in _spans(known):
        _add(known, span, [f for f in facts if span.from_ <= f.at < span.until], month)
    return max(month.total, Fraction(month.minimum))


def _spans(known: Books) -> Iterator[_Span]:
    """Yield the month second by second, seconds in which the same is said together."""
    span: _Span | None = None
    for second in range(MONTH):
        plan = known.prices.plan_at(second)
        assert plan is not None
        now = _Span(second, second + 1, plan, *known.classes.standing("alpha", second))
        if span is not None and span.says() == now.says():
            span = span._replace(until=now.until)
            continue
        if span is not None:
            yield span
        span = now
    assert span is not None
    yield span


def _add(known: Books, span: _Span, used: list[Served], month: _Month) -> None:
    """Add the use and the time of a span to the month."""

    def takes(component: PriceComponent, fact: Served) -> bool:
        return (
            (not component.items or fact.item in component.items)
            and (
                not component.price_classes
                or known.classes.price_class(fact.item, fact.at) in component.price_classes
            )
            and (not component.purposes or fact.purpose in component.purposes)
        )

    def priced_by(fact: Served) -> PriceComponent | None:
        charging = (each for each in span.applying() if each.kind in CHARGING)
        return next((each for each in charging if takes(each, fact)), None)

    def time_part(number: int) -> int:
        return number * span.until // MONTH - number * span.from_ // MONTH

    fees: list[Fraction] = [Fraction(fact.unit_price) for fact in used]
    for component in span.applying():
        indexes = [at for at, fact in enumerate(used) if priced_by(fact) is component]
        if component.kind not in CHARGING or component.kind == PER_RECORD or not indexes:
            continue
        if component.kind == PER_SUBJECT:
            known_subjects = {f.subject for f in month.counted if priced_by(f) is component}
            fresh = {used[at].subject for at in indexes} - known_subjects
            fee = Fraction(len(fresh) * component.unit_price)
        else:
            before = sum(priced_by(fact) is component for fact in month.used)
            fee = _tiered(component, before + len(indexes)) - (
                _tiered(component, before) if before else 0
            )
        for at in indexes:
            fees[at] = fee / len(indexes)
    gratis = [Fraction(0)] * len(used)
    for component in span.applying():
        indexes = [at for at, fact in enumerate(used) if takes(component, fact)]
        if component.kind == FREE_TIER and indexes:
            taken = sum((part for fact, part in month.free if takes(component, fact)), Fraction(0))
            left = max(component.records - taken, Fraction(0))
            free = min(left, Fraction(len(indexes))) / len(indexes)
            for at in indexes:
                fees[at] *= 1 - free
                gratis[at] = max(gratis[at], free)
    added = sum(fees, Fraction(0))
    if span.stands:
        added += sum(time_part(each.amount) for each in span.applying() if each.kind == FLAT)
    total = month.total + added
    for component in span.applying():
        if component.kind == CAP:
            total = min(total, max(month.total, Fraction(component.amount)))
    if span.stands:
        minima = [each.amount for each in span.applying() if each.kind == MINIMUM]
        month.minimum += max(map(time_part, minima), default=0)
    month.total = total
    for fact, part in zip(used, gratis, strict=True):
        by = priced_by(fact)
        month.used.append(fact)
        month.free.append((fact, part))
        if by is not None and by.kind == PER_SUBJECT:
            month.counted.append(fact)


def _tiered(component: PriceComponent, records: int) -> Fraction:
    bounds = [tier.from_records for tier in component.tiers]
    prices = [tier.unit_price for tier in component.tiers]

    def tier_of(number: int) -> int:
        return max(index for index, bound in enumerate(bounds) if bound <= number)

    if component.kind == VOLUME:
        reached = tier_of(records)
        later = [bounds[i] * prices[i] for i in range(reached + 1, len(bounds))]
        return Fraction(min([records * prices[reached], *later]))
    return Fraction(sum(prices[tier_of(number)] for number in range(records)))
