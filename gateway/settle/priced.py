"""What must have a price: a typing error in a plan or an item would stop answers, or price some
operators otherwise than meant.

A use has a price by its item's class or by a component that selects it. Which is asked for every
purpose, and for the classes of operators there are.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Final, NamedTuple

from creditgate.rating.classes import Classes
from creditgate.rating.components import Priced
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.refusal import Violation, invalid
from creditgate.v1.settlement_service_pb2 import (
    CreatePricePlanRequest,
    CreateSharingRuleRequest,
)
from creditgate.v1.vocabulary_pb2 import Purpose

_MOST_VIOLATIONS: Final = 100
_PURPOSES: Final = tuple(purpose for purpose in Purpose.values() if purpose)
_NO_ITEM: Final = ""
_UNKNOWN_CLASS: Final = (
    "no catalogue item has this price class: use one that an item has, or name it in"
    " coming_price_classes too"
)
_UNKNOWN_OPERATORS: Final = (
    "no operator has this class: use one that an operator has, or name it in"
    " coming_operator_classes too"
)
_UNKNOWN_ITEM: Final = "use the code of a catalogue item; ListCatalogueItems lists them"
_LEFT_OUT: Final = (
    "price what has a price until then, or name it in dropped_price_classes: {classes}"
)
_LEFT_OUT_LATER: Final = (
    "the plan {plan}, which starts after it, has no price for what this one adds: withdraw that"
    " one first, or name it in dropped_price_classes: {classes}"
)
_NO_PRICE: Final = (
    "the price plan {plan} has no price for it: use a class that it prices, or put a plan into"
    " force first that names this one in coming_price_classes"
)


class _Thing(NamedTuple):
    """An item, and its price class."""

    item: str
    price_class: str


def require_sound(
    request: CreatePricePlanRequest, plan: PricePlan, classes: Classes, book: PriceBook
) -> None:
    """Raise Refused INVALID_REQUEST unless ``plan``, which the request brings, fits the
    catalogue's items and the operators as they are, and the plans before and after it.

    All it names must be an item's or an operator's, or a class that the request says is to come. What the plan in
    force until then prices has a price again, and what it adds has one by the plan that follows
    too, unless the request says that it is dropped: what has no price can't be served.
    """
    items = {item: history.values[-1] for item, history in classes.items.items()}
    coming = frozenset(request.coming_price_classes)
    faults = [
        *_unknown(request, items, frozenset(items.values()) | coming),
        *_unknown_operators(request, classes),
        *_left_out(request, plan, items, classes, book),
    ]
    if faults:
        raise invalid(*faults[:_MOST_VIOLATIONS])


def require_known_rebates(request: CreateSharingRuleRequest, classes: Classes) -> None:
    """Raise Refused INVALID_REQUEST unless every class that a rule gives back to is an operator's,
    or one that the request says is to come."""
    known = _operator_classes(classes) | set(request.coming_operator_classes)
    faults = [
        Violation(f"rule.rebate_operator_classes[{place}]", _UNKNOWN_OPERATORS)
        for place, each in enumerate(request.rule.rebate_operator_classes)
        if each not in known
    ]
    if faults:
        raise invalid(*faults[:_MOST_VIOLATIONS])


def item_fault(item: str, price_class: str, classes: Classes, book: PriceBook, now: int) -> str:
    """Return why an item may not have a price class from ``now`` (seconds, UTC) on: "" where the
    plan in force, and all that are to come, have a price for it."""
    in_force = book.plan_at(now)
    to_come = (plan for plan in book.plans.things if plan.effective_from > now)
    use = _Thing(item, price_class)
    for plan in (*((in_force,) if in_force else ()), *to_come):
        if any(plan.list_price(each) is None for each in _uses(use, classes)):
            return _NO_PRICE.format(plan=plan.plan_id)
    return ""


def _unknown(
    request: CreatePricePlanRequest, items: Mapping[str, str], classes: Set[str]
) -> Iterator[Violation]:
    for index, price in enumerate(request.plan.prices):
        if price.price_class not in classes:
            yield Violation(f"plan.prices[{index}].price_class", _UNKNOWN_CLASS)
    for index, component in enumerate(request.plan.components):
        at = f"plan.components[{index}]"
        for place, item in enumerate(component.items):
            if item not in items:
                yield Violation(f"{at}.items[{place}]", _UNKNOWN_ITEM)
        for place, price_class in enumerate(component.price_classes):
            if price_class not in classes:
                yield Violation(f"{at}.price_classes[{place}]", _UNKNOWN_CLASS)


def _unknown_operators(request: CreatePricePlanRequest, classes: Classes) -> Iterator[Violation]:
    known = _operator_classes(classes) | set(request.coming_operator_classes)
    for index, component in enumerate(request.plan.components):
        for place, each in enumerate(component.operator_classes):
            if each not in known:
                at = f"plan.components[{index}].operator_classes[{place}]"
                yield Violation(at, _UNKNOWN_OPERATORS)


def _left_out(
    request: CreatePricePlanRequest,
    plan: PricePlan,
    items: Mapping[str, str],
    classes: Classes,
    book: PriceBook,
) -> Iterator[Violation]:
    before = book.plan_at(plan.effective_from)
    things = {_Thing(*each) for each in items.items()}
    dropped = frozenset(request.dropped_price_classes)
    left_out = _lost(before, plan, things, classes) - dropped
    if left_out:
        yield Violation("plan.prices", _LEFT_OUT.format(classes=_named(left_out)))
    later = [each for each in book.plans.things if each.effective_from > plan.effective_from]
    if not later:
        return
    things |= {_Thing(_NO_ITEM, each) for each in request.coming_price_classes}
    # What the one before has and the one after has not was dropped by the one after.
    added = _lost(plan, later[0], things, classes) - _lost(before, later[0], things, classes)
    if added - dropped:
        yield Violation(
            "plan.prices",
            _LEFT_OUT_LATER.format(plan=later[0].plan_id, classes=_named(added - dropped)),
        )


def _lost(
    before: PricePlan | None, after: PricePlan, things: Iterable[_Thing], classes: Classes
) -> Set[str]:
    """Return the classes of what has a price by one plan, and none by the one after it."""
    if before is None:
        return frozenset()
    named = {
        item
        for plan in (before, after)
        for component in plan.components
        for item in component.items
    }
    # What no component names is priced by its class alone.
    alike = {each if each.item in named else each._replace(item=_NO_ITEM) for each in things}
    return {
        each.price_class
        for each in alike
        for use in _uses(each, classes)
        if before.list_price(use) is not None and after.list_price(use) is None
    }


def _uses(thing: _Thing, classes: Classes) -> Iterator[Priced]:
    """Yield the uses there may be of an item, by purpose and class of operator."""
    for operator_class in sorted(_operator_classes(classes) or {""}):
        for purpose in _PURPOSES:
            yield Priced(thing.item, thing.price_class, purpose, operator_class)


def _operator_classes(classes: Classes) -> Set[str]:
    """Return the classes of the operators that stand, "" among them where some has none."""
    newest = (history.values[-1] for history in classes.operators.values())
    return {each.operator_class for each in newest if each.stands}


def _named(classes: Set[str]) -> str:
    return ", ".join(sorted(classes))
