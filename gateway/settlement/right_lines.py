"""What uses ought to count, as evidence proves it. Pure."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from creditgate.rating.settled import LineKey
from creditgate.v1.usage_log_pb2 import UsageLine

RightLines = Mapping[int, Sequence[UsageLine]]
"""What uses ought to count, by their place in the operator's log."""
NONE: Final[RightLines] = {}
"""All uses are right."""
AGREED: Final = -1
"""The kind of what no evidence proves: another region and this one have signed in clearing what a use
counts."""


class Overcharge(NamedTuple):
    """A use that is proven to be overcharged, and what it ought to count.

    ``kind`` is a UsageEvidenceKind that convicts, or `AGREED`.
    """

    kind: int
    usage_index: int
    right: Sequence[UsageLine]


def together(overcharges: Iterable[Overcharge]) -> RightLines:
    """Return what all uses ought to count: of each line of a use the least that was proven.

    Every proof is what the gateway signed of the use, so it may charge no more of anything than any
    of them says; which of two is cheaper depends on how the month is rated.
    """
    least: dict[int, Sequence[UsageLine]] = {}
    for each in overcharges:
        known = least.get(each.usage_index)
        least[each.usage_index] = each.right if known is None else _least(known, each.right)
    return least


def proves_more(overcharge: Overcharge, known: RightLines) -> bool:
    """Tell whether a use ought to count less than is ``known`` of it."""
    place = overcharge.usage_index
    before = known.get(place)
    return before is None or _by_line(_least(before, overcharge.right)) != _by_line(before)


def _least(one: Sequence[UsageLine], other: Sequence[UsageLine]) -> Sequence[UsageLine]:
    """Return lines of both, with as few records at as low prices as either has, the cheapest of one
    beside the cheapest of the other."""
    ones, others = _by_line(one), _by_line(other)
    found: list[UsageLine] = []
    for key in sorted(ones.keys() & others.keys()):
        counts: Counter[int] = Counter()
        mine, theirs = deque(sorted(ones[key].items())), deque(sorted(others[key].items()))
        while mine and theirs:
            (price, records), (beside, more) = mine.popleft(), theirs.popleft()
            some = min(records, more)
            counts[min(price, beside)] += some
            if records > some:
                mine.appendleft((price, records - some))
            if more > some:
                theirs.appendleft((beside, more - some))
        found += (
            UsageLine(**key._asdict(), entries=records, unit_price_micro_yuan=price)
            for price, records in sorted(counts.items())
        )
    return found


def _by_line(lines: Iterable[UsageLine]) -> dict[LineKey, Counter[int]]:
    """Return how many records lines have at each price."""
    found: defaultdict[LineKey, Counter[int]] = defaultdict(Counter)
    for line in lines:
        if line.entries > 0:
            key = LineKey(line.item, line.source, line.region)
            found[key][line.unit_price_micro_yuan] += line.entries
    return found
