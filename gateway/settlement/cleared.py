"""What clearing comes to in a settlement: what this region owes others, once and to the cent. Pure.

Statements set aside what other regions' records cost there by list price. What is owed in the end
is what clearings agreed on: beyond or below the list price by the other region's plan, without what
is in dispute, and with what no operator was charged for. The platform bears the difference. So
what all settlements have for a region is what clearings with it agreed on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from creditgate.rating.settled import by_beneficiary, share_messages
from creditgate.v1.settlement_service_pb2 import SettledClearing, Settlement
from creditgate.v1.usage_service_pb2 import RevenueShare
from gateway.settle.shares import PLATFORM, peer_of, peer_share


class ClearedThrough(NamedTuple):
    """What clearings with a region agreed on that this one owes (micro-yuan), those counted whose
    periods end up to ``through`` (seconds, UTC; 0 for none)."""

    through: int
    owed: int


class ClearedDebts(Protocol):
    """Tells what this region owes others by the clearings agreed. Calls block."""

    def owed(self, after: Mapping[str, int]) -> Mapping[str, ClearedThrough]:
        """Return what clearings agreed on by now whose periods end after those instants, by
        region; all of regions that are not named."""
        ...

    def owed_between(self, region: str, after: int, through: int) -> int:
        """Return what clearings with a region agreed on whose periods end after ``after``, and
        not after ``through``."""
        ...


class NothingCleared:
    """`ClearedDebts` of an installation that clears with nobody."""

    def owed(self, after: Mapping[str, int]) -> Mapping[str, ClearedThrough]:
        """Return nothing."""
        del after
        return {}

    def owed_between(self, region: str, after: int, through: int) -> int:
        """Return 0."""
        del region, after, through
        return 0


def through_of(settlement: Settlement | None) -> dict[str, int]:
    """Return up to when clearings were counted by a settlement, by region."""
    told = () if settlement is None else settlement.clearings
    return {each.region: each.through_time.seconds for each in told}


def settled_clearings(
    due: Iterable[RevenueShare], before: Mapping[str, int], cleared: Mapping[str, ClearedThrough]
) -> list[SettledClearing]:
    """Return what a settlement tells of clearings, where statements' shares are ``due``.

    ``before`` is up to when the settlement before counted, ``cleared`` what came since; both by
    region. A region that was told of once is told of ever after.
    """
    set_aside = {
        region: amount
        for name, amount in by_beneficiary(due).items()
        if (region := peer_of(name)) and amount
    }
    found: list[SettledClearing] = []
    for region in sorted(before.keys() | cleared.keys() | set_aside.keys()):
        through, owed = cleared.get(region, ClearedThrough(before.get(region, 0), 0))
        each = SettledClearing(
            region=region,
            owed_micro_yuan=owed,
            set_aside_micro_yuan=set_aside.get(region, 0),
        )
        if through:
            each.through_time.seconds = through
        found.append(each)
    return found


def beyond_set_aside(clearings: Iterable[SettledClearing]) -> Counter[str]:
    """Return what each beneficiary has by clearings beyond what statements say; the sum is 0."""
    amounts: Counter[str] = Counter()
    for each in clearings:
        beyond = each.owed_micro_yuan - each.set_aside_micro_yuan
        amounts[peer_share(each.region)] += beyond
        amounts[PLATFORM] -= beyond
    return amounts


def with_clearings(
    due: Iterable[RevenueShare], clearings: Iterable[SettledClearing]
) -> list[RevenueShare]:
    """Return shares of what is due, with what clearings came to."""
    amounts = by_beneficiary(due)
    amounts.update(beyond_set_aside(clearings))
    return share_messages(amounts)
