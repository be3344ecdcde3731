"""What an operator of another region may have here at most: its licence there, mapped. Pure.

The home region's own licence and grants bound the same call by themselves (`operators.rules`),
so here nothing is ever added: each field is what all sides allow (guarantee G10). A detail of
a token that leaves a field out allows all of it, so where nothing is left there is a refusal,
never an empty field.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.authorization_details import AuthorizationDetail, DetailPeriod
from operators.shapes import ALL_REGIONS, common_regions, covers

MOST_NAMED: Final = 64
"""Most items, and most regions, that one detail names."""

Details = tuple[AuthorizationDetail, ...]


class Bound(NamedTuple):
    """What one licence of another region allows here.

    ``items`` are codes of this region's catalogue, ``purposes`` names as details have them,
    ``regions`` division codes (each with all below it, or "*"). No field left empty allows
    anything. The period is [start, until), seconds UTC.
    """

    items: frozenset[str]
    purposes: frozenset[str]
    regions: frozenset[str]
    start: int
    until: int


def mapped(items: Iterable[str], counterparts: Mapping[str, str]) -> frozenset[str]:
    """Return the items of this region that stand for ``items`` of another.

    ``counterparts`` gives this region's item for one of the other's. Those without are left
    out; raises Refused ITEM_NOT_MAPPED where none is left.
    """
    own = frozenset(counterparts[item] for item in items if item in counterparts)
    if not own:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_NOT_MAPPED,
            "No item of the operator's licence has a counterpart in this region's catalogue under"
            " its mapping in force; ask this region's administrators.",
        )
    return own


def within(detail: AuthorizationDetail, bound: Bound) -> AuthorizationDetail | None:
    """Return what both allow, None when that is nothing."""
    items = detail.items & bound.items if detail.items else bound.items
    purposes = detail.purposes & bound.purposes if detail.purposes else bound.purposes
    regions = common_regions(detail.regions, bound.regions) if detail.regions else bound.regions
    start = max(detail.period.start, bound.start)
    until = min(detail.period.until, bound.until)
    if not (items and purposes and regions and start < until):
        return None
    return detail.model_copy(
        update={
            "items": items,
            "purposes": purposes,
            "regions": regions,
            "period": DetailPeriod.model_validate({"from": start, "until": until}),
        }
    )


def for_ask(details: Iterable[AuthorizationDetail], bound: Bound, items: frozenset[str]) -> Details:
    """Return what of a token's ``details`` a call for ``items``, all named, may make use of.

    Never empty, since no details would be no limits. Raises Refused: ITEM_NOT_ALLOWED where
    the licence lacks an item, DETAILS_NOT_IN_FORCE where the details share nothing with it.
    """
    if not items or not items <= bound.items:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
            "Name the items wanted, and only such as the operator's licence in its region allows.",
        )
    asked = bound._replace(items=items)
    narrowed = tuple(
        left
        for detail in details
        if items <= (detail.items or items) and (left := within(detail, asked)) is not None
    )
    if not narrowed:
        raise Refused(
            RefusalReason.REFUSAL_REASON_DETAILS_NOT_IN_FORCE,
            "The token's authorization details and the operator's licence in its region have"
            " nothing in common for these items now; exchange the licence credential anew.",
        )
    return narrowed


def wider_field(asked: AuthorizationDetail, bound: Bound) -> str | None:
    """Return the first field in which ``asked`` names what the bound does not allow; None:
    none. What it leaves out is narrowed to the bound."""
    if not asked.items <= bound.items:
        return "items"
    if not asked.purposes <= bound.purposes:
        return "purposes"
    if not all(covers(bound.regions, code) for code in asked.regions - {ALL_REGIONS}):
        return "regions"
    if asked.period.until <= bound.start or bound.until <= asked.period.start:
        return "period"
    return None


def tellable(detail: AuthorizationDetail) -> bool:
    """Tell whether a token can carry ``detail``: it names no more than one detail may."""
    return len(detail.items) <= MOST_NAMED and len(detail.regions) <= MOST_NAMED
