"""What each source contributed to a month's answers, as weights to divide a pool by. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import gcd, lcm

from creditgate.rating.bill import RatedCell
from gateway.settle.shapley import bound_per_million, shapley
from gateway.settle.shares import SharingRule
from gateway.settle.use import Combination

# Which source gave which item: answers of one structure are one game, since the Shapley value
# of a sum of games is the sum of their values.
_Structure = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Contribution:
    """Weights of the sources, and how far off those of answers from many sources may be.

    ``bound_per_million`` is of the worth of such answers, ``sampled_per_million`` their
    part of all worth; both are 0 where every weight is exact.
    """

    weights: Mapping[str, int]
    bound_per_million: int
    sampled_per_million: int


def contribution(
    rule: SharingRule,
    combinations: Iterable[Combination],
    cells: Iterable[RatedCell],
    month_from: int,
) -> Contribution:
    """Return what each source contributed to the answers of a month under ``rule``.

    An answer's items are worth what they cost in the end: of each of ``cells``, the month's
    rated use, a record is worth its part of the fee. Where nothing is charged, they are worth
    their records. ``month_from``, the start of the month in seconds UTC, and the rule's id seed
    the orders drawn, so that whoever draws again draws the same.
    """
    known = tuple(combinations)
    worth_of = _worths(cells, {supply.part for each in known for supply in each.supplies})
    worths: dict[_Structure, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in known:
        structure = frozenset((supply.item, supply.source) for supply in each.supplies)
        for supply in each.supplies:
            worths[structure][supply.item] += supply.records * worth_of[supply.part]
    seed = f"creditgate/contribution/v1\n{rule.rule_id}\n{month_from}\n".encode()
    weights: dict[str, int] = defaultdict(int)
    bound = sampled = 0
    for structure, by_item in worths.items():
        sources_of: dict[str, set[str]] = defaultdict(set)
        for item, source in structure:
            sources_of[item].add(source)
        values = shapley(
            by_item,
            {item: frozenset(sources) for item, sources in sources_of.items()},
            rule.completeness_basis_points,
            seed,
        )
        for source, value in values.items():
            weights[source] += value
        own_bound = bound_per_million(len(values))
        bound = max(bound, own_bound)
        sampled += sum(by_item.values()) if own_bound else 0
    whole = sum(chain.from_iterable(by_item.values() for by_item in worths.values()))
    return Contribution(
        {source: weights[source] for source in sorted(weights)},
        bound,
        -(-sampled * 1_000_000 // whole) if sampled else 0,
    )


def _worths(cells: Iterable[RatedCell], parts: Iterable[int]) -> Mapping[int, int]:
    """Return what a record of each of ``parts`` is worth, all in one unit.

    The unit is the largest in which each is a whole number, so nothing is rounded; 1 each where
    none of them costs anything.
    """
    wanted = frozenset(parts)
    met = [(cell, wanted.intersection(cell.indexes)) for cell in cells]
    charged: Sequence[tuple[RatedCell, frozenset[int]]] = [
        (cell, some) for cell, some in met if some and cell.fee
    ]
    if not charged:
        return dict.fromkeys(wanted, 1)
    whole = lcm(*(cell.records // gcd(cell.records, cell.fee) for cell, _ in charged))
    worth_of = dict.fromkeys(wanted, 0)
    for cell, some in charged:
        each = cell.fee * whole // cell.records
        worth_of |= dict.fromkeys(some, each)
    return worth_of
