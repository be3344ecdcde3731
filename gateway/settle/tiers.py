"""The arithmetic of tiers: what a number of records costs tier by tier, or all together. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from gateway.settle.bill import Step

# First record of a tier and its price (micro-yuan); ascending, the first from 0.
Tiers = Sequence[tuple[int, int]]


def graduated(records: int, tiers: Tiers) -> tuple[Step, ...]:
    """Return what ``records`` cost, each at the price of the tier it falls into."""
    ends = [until for (_, _), (until, _) in pairwise(tiers)]
    return tuple(
        Step(within, price, within * price)
        for (start, price), end in zip(tiers, [*ends, records], strict=True)
        if (within := min(records, end) - start) > 0
    )


def volume(records: int, tiers: Tiers) -> tuple[Step, ...]:
    """Return what ``records`` cost, all at the price of the tier they reach together.

    Never more than the start of a later tier would: a step of that many records stands for
    it then. So to use more never costs less.
    """
    reached = max(i for i, (start, _) in enumerate(tiers) if start <= records)
    steps = [Step(records, tiers[reached][1], records * tiers[reached][1])]
    steps += (Step(start, price, start * price) for start, price in tiers[reached + 1 :])
    return (min(steps, key=lambda step: step.fee),)
