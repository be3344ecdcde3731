"""What an operator's licences open of an ask: one by one, and together. Pure.

Together they open what any of them opens: each item in the regions of the licences that have
it, for the purposes that those have. Items of one never open in the regions, nor for the
purposes, of another. So an ask that names no items gets all that the operator may have, and
nothing looks absent that is merely under another licence.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from creditgate.v1.refusal_pb2 import RefusalReason
from operators.decision import Allow, Ask, Refuse, UnderLicence
from operators.model import Licence, ScopeGrant
from operators.shapes import ALL_REGIONS, common_regions, covers

_DIGITS: Final = 6


def licensed(
    operator_id: str,
    licences: Iterable[Licence],
    grants: Iterable[ScopeGrant],
    ask: Ask,
    until: int,
) -> Allow | Refuse:
    """Return what ``licences`` of an operator, in order, and ``grants`` allow of ``ask``, or
    the first of PURPOSE_NOT_ALLOWED, ITEM_NOT_ALLOWED and REGION_NOT_ALLOWED that applies.

    All are in force, the grants are of the ask's scope; ``until`` is what the answer stands to.
    """
    licences = [each for each in licences if ask.purpose in each.purposes]
    grants = [each for each in grants if not each.purposes or ask.purpose in each.purposes]
    if not licences or not grants:
        return _PURPOSE
    return _together(
        operator_id, [_under(each, grants, ask) for each in licences], grants, ask, until
    )


def _together(
    operator_id: str,
    licences: Sequence[UnderLicence],
    grants: Iterable[ScopeGrant],
    ask: Ask,
    until: int,
) -> Allow | Refuse:
    """Return what licences allow together; those that have a share of it bear it."""
    shares: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for licence in licences:
        for item, regions in licence.regions_by_item.items():
            shares[item] |= regions
    if not shares or len(shares) < len(ask.items):
        return _ITEM
    placed = {item: _without_covered(regions) for item, regions in shares.items() if regions}
    if not placed or len(placed) < len(ask.items):
        return _REGION
    return Allow(
        operator_id=operator_id,
        licences=tuple(
            licence._replace(regions_by_item=borne)
            for licence in licences
            if (borne := {item: at for item, at in licence.regions_by_item.items() if at})
        ),
        items=frozenset(placed),
        grant_ids=tuple(
            grant.grant_id for grant in grants if not grant.items or grant.items & placed.keys()
        ),
        stands_until=until,
        regions_by_item=placed,
    )


def _under(licence: Licence, grants: Sequence[ScopeGrant], ask: Ask) -> UnderLicence:
    """Return what a licence has of the ask; of an item whose regions nothing shares, none."""
    wanted = ask.items or licence.items
    if ask.detail is not None and ask.detail.items:
        wanted &= ask.detail.items
    regions_by_item = {
        item: regions
        for item in wanted & licence.items
        if (regions := _regions_of(item, licence, grants)) is not None
    }
    if ask.detail is not None and ask.detail.regions:
        regions_by_item = {
            item: _without_covered(common_regions(regions, ask.detail.regions))
            for item, regions in regions_by_item.items()
        }
    return UnderLicence(
        licence.number, licence.daily_record_quota, regions_by_item, _breadth(licence)
    )


def _breadth(licence: Licence) -> int:
    """Return how many pairs of item and purpose a licence opens, times the divisions of six digits
    that may lie in its regions."""
    divisions = sum(
        10 ** (_DIGITS if code == ALL_REGIONS else _DIGITS - len(code))
        for code in _without_covered(licence.regions)
    )
    return len(licence.items) * len(licence.purposes) * divisions


def _regions_of(item: str, licence: Licence, grants: Iterable[ScopeGrant]) -> frozenset[str] | None:
    # Regions belong to the grant that covers the item: two grants, one item here and
    # another there, never open both items in both places.
    covering = [grant for grant in grants if not grant.items or item in grant.items]
    if not covering:
        return None
    return _without_covered(
        frozenset[str]().union(
            *(
                common_regions(licence.regions, grant.regions) if grant.regions else licence.regions
                for grant in covering
            )
        )
    )


def _without_covered(regions: frozenset[str]) -> frozenset[str]:
    return frozenset(code for code in regions if not covers(regions - {code}, code))


_PURPOSE = Refuse(
    RefusalReason.REFUSAL_REASON_PURPOSE_NOT_ALLOWED,
    "Name a purpose that both the licence and a grant of this scope allow.",
)
_ITEM = Refuse(
    RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
    "Ask only for catalogue items that the licence and the grants allow for this purpose.",
)
_REGION = Refuse(
    RefusalReason.REFUSAL_REASON_REGION_NOT_ALLOWED,
    "The licence, the grants and the token share no region for an item asked for.",
)
