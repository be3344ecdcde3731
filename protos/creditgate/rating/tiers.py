"""The arithmetic of tiers: what records cost tier by tier, or all together. Pure.

Records are those of a month: ``before`` were used earlier in it, and are not priced anew.
"""

from collections.abc import Sequence
from itertools import pairwise

from creditgate.rating.bill import Step

# First record of a tier and its price (micro-yuan); ascending, the first from 0.
Tiers = Sequence[tuple[int, int]]


def graduated(records: int, tiers: Tiers, before: int = 0) -> tuple[Step, ...]:
    """Return what ``records`` behind those ``before`` cost, each at the price of its tier."""
    last = before + records
    ends = [until for (_, _), (until, _) in pairwise(tiers)]
    return tuple(
        Step(within, price, within * price)
        for (start, price), end in zip(tiers, [*ends, last], strict=True)
        if (within := min(last, end) - max(start, before)) > 0
    )


def volume(records: int, tiers: Tiers, before: int = 0) -> tuple[Step, ...]:
    """Return what ``records`` cost, all of the month at the price of the tier they reach together.

    Never more than the start of a later tier would: a step of that many records stands for
    it then. So to use more never costs less. What the records ``before`` cost by this is taken
    off as a second step, of a number below 0.
    """
    whole = _volume(before + records, tiers)
    if not before:
        return (whole,)
    earlier = _volume(before, tiers)
    return whole, Step(-earlier.quantity, earlier.unit_price, -earlier.fee)


def _volume(records: int, tiers: Tiers) -> Step:
    reached = max(i for i, (start, _) in enumerate(tiers) if start <= records)
    steps = [Step(records, tiers[reached][1], records * tiers[reached][1])]
    steps += (Step(start, price, start * price) for start, price in tiers[reached + 1 :])
    return min(steps, key=lambda step: step.fee)
