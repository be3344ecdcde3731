"""What a new price plan must price: a typing error in it would stop answers at its start."""

from collections.abc import Iterator, Mapping, Set
from typing import Final

from creditgate.rating.classes import Classes
from creditgate.rating.prices import PriceBook
from creditgate.refusal import Violation, invalid
from creditgate.v1.settlement_service_pb2 import CreatePricePlanRequest

_MOST_VIOLATIONS: Final = 100
_UNKNOWN_CLASS: Final = (
    "no catalogue item has this price class: use one that an item has, or name it in"
    " coming_price_classes too"
)
_UNKNOWN_ITEM: Final = "use the code of a catalogue item; ListCatalogueItems lists them"
_LEFT_OUT: Final = (
    "price what has a price until then, or name it in dropped_price_classes: {classes}"
)


def require_sound(request: CreatePricePlanRequest, classes: Classes, book: PriceBook) -> None:
    """Raise Refused INVALID_REQUEST unless the plan fits the catalogue's items as they are.

    All it names must be an item's, or a class that the request says is to come. A class of an
    item that the plan in force until then prices has a price again, unless the request says
    that it is dropped: what has no price can't be served.
    """
    items = {item: history.values[-1] for item, history in classes.items.items()}
    borne = frozenset(items.values())
    faults = [
        *_unknown(request, items, borne | set(request.coming_price_classes)),
        *_left_out(request, borne, book),
    ]
    if faults:
        raise invalid(*faults[:_MOST_VIOLATIONS])


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


def _left_out(
    request: CreatePricePlanRequest, borne: Set[str], book: PriceBook
) -> Iterator[Violation]:
    before = book.plan_at(request.plan.effective_from.seconds)
    if before is None:
        return
    named = {price.price_class for price in request.plan.prices}
    left_out = (before.prices.keys() & borne) - named - set(request.dropped_price_classes)
    if left_out:
        yield Violation("plan.prices", _LEFT_OUT.format(classes=", ".join(sorted(left_out))))
