"""Netting (轧差): what each region pays or is paid in the end, of what they owe one another. Pure.

Amounts are whole micro-yuan, so nothing is rounded and all positions sum to zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Owed(NamedTuple):
    """What one region owes another, micro-yuan, not below 0."""

    debtor: str
    creditor: str
    amount: int


def bilateral(owed: Iterable[Owed]) -> list[Owed]:
    """Return what is left between each two regions: at most one debt for a pair, above 0."""
    between: dict[tuple[str, str], int] = defaultdict(int)
    for each in owed:
        if each.debtor < each.creditor:
            between[each.debtor, each.creditor] += each.amount
        else:
            between[each.creditor, each.debtor] -= each.amount
    return [
        Owed(one, other, amount) if amount > 0 else Owed(other, one, -amount)
        for (one, other), amount in sorted(between.items())
        if amount
    ]


def positions(owed: Iterable[Owed]) -> dict[str, int]:
    """Return what each region is paid in the end, below 0 where it pays; the sum is 0."""
    net: dict[str, int] = defaultdict(int)
    for each in owed:
        net[each.debtor] -= each.amount
        net[each.creditor] += each.amount
    return dict(sorted(net.items()))


def transfers(net: Mapping[str, int]) -> list[Owed]:
    """Return payments that settle positions whose sum is 0: fewer than there are regions.

    The greatest debt pays the greatest claim first, so that the same positions always make the
    same payments. Raises ValueError where the sum is not 0.
    """
    if sum(net.values()):
        raise ValueError("positions must sum to 0")
    left = {region: amount for region, amount in net.items() if amount}
    paid: list[Owed] = []
    while left:
        debtor = min(left, key=lambda region: (left[region], region))
        creditor = max(left, key=lambda region: (left[region], region))
        amount = min(-left[debtor], left[creditor])
        paid.append(Owed(debtor, creditor, amount))
        for region, change in ((debtor, amount), (creditor, -amount)):
            left[region] += change
            if not left[region]:
                del left[region]
    return paid
