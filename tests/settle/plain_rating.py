"""Rating written down plainly: fractions instead of rounding, one record at a time.

Independent of `gateway.settle.rating`; it knows components only as documents say them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from gateway.settle.components import (
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
from gateway.settle.prices import PricePlan
from tests.settle.drawn import MONTH, Books
from tests.settle.month import Served


class _Span(NamedTuple):
    from_: int
    until: int
    plan: PricePlan
    operator_class: str
    stands: bool


def plain_total(known: Books, facts: Sequence[Served]) -> Fraction:
    """Return what a month costs, in micro-yuan, nothing rounded but numbers of records."""
    return sum((_span_total(known, span, facts) for span in _spans(known)), Fraction(0))


def _spans(known: Books) -> Iterator[_Span]:
    """Yield the month second by second, seconds alike together."""
    span: _Span | None = None
    for second in range(MONTH):
        plan = known.prices.plan_at(second)
        assert plan is not None
        now = _Span(second, second + 1, plan, *known.classes.standing("alpha", second))
        if span is not None and span[2:] == now[2:]:
            span = span._replace(until=now.until)
            continue
        if span is not None:
            yield span
        span = now
    assert span is not None
    yield span


def _span_total(known: Books, span: _Span, facts: Sequence[Served]) -> Fraction:
    def takes(component: PriceComponent, fact: Served) -> bool:
        return (
            (not component.items or fact.item in component.items)
            and (
                not component.price_classes
                or known.classes.price_class(fact.item, fact.at) in component.price_classes
            )
            and (not component.purposes or fact.purpose in component.purposes)
            and applies(component)
        )

    def applies(component: PriceComponent) -> bool:
        return not component.operator_classes or span.operator_class in component.operator_classes

    def month_part(number: int) -> int:
        return number * (span.until - span.from_) // MONTH

    used = [fact for fact in facts if span.from_ <= fact.at < span.until]
    fees = [Fraction(0)] * len(used)
    loose = Fraction(0)
    charged: dict[str, list[int]] = defaultdict(list)
    for index, fact in enumerate(used):
        for component in span.plan.components:
            if component.kind in CHARGING and takes(component, fact):
                charged[component.component_id].append(index)
                break
        else:
            fees[index] += fact.unit_price
    for component in span.plan.components:
        indexes = charged[component.component_id]
        if not indexes:
            continue
        if component.kind == PER_RECORD:
            fee = Fraction(sum(used[index].unit_price for index in indexes))
            for index in indexes:
                fees[index] += used[index].unit_price
            continue
        if component.kind == PER_SUBJECT:
            fee = Fraction(len({used[index].subject for index in indexes}) * component.unit_price)
        else:
            bounds = [month_part(tier.from_records) for tier in component.tiers]
            fee = _tiered(component, bounds, len(indexes))
        for index in indexes:
            fees[index] += fee / len(indexes)
    for component in span.plan.components:
        indexes = [index for index, fact in enumerate(used) if takes(component, fact)]
        if component.kind == FREE_TIER and indexes:
            free = min(month_part(component.records), len(indexes))
            for index in indexes:
                fees[index] *= 1 - Fraction(free, len(indexes))
    if span.stands:
        for component in span.plan.components:
            if component.kind == FLAT and applies(component):
                loose += month_part(component.amount)
        for component in span.plan.components:
            if component.kind == MINIMUM and applies(component):
                loose += max(0, month_part(component.amount) - sum(fees) - loose)
    total = sum(fees, Fraction(0)) + loose
    for component in span.plan.components:
        if component.kind == CAP and applies(component):
            total = min(total, Fraction(month_part(component.amount)))
    return total


def _tiered(component: PriceComponent, bounds: Sequence[int], records: int) -> Fraction:
    prices = [tier.unit_price for tier in component.tiers]

    def tier_of(number: int) -> int:
        return max(index for index, bound in enumerate(bounds) if bound <= number)

    if component.kind == VOLUME:
        reached = tier_of(records)
        later = [bounds[i] * prices[i] for i in range(reached + 1, len(bounds))]
        return Fraction(min([records * prices[reached], *later]))
    return Fraction(sum(prices[tier_of(number)] for number in range(records)))
