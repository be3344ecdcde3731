"""Bills: what a month's use costs, each line explained.

Money is integer micro-yuan. Explanations are keys and numbers; `gateway.settle.explain`
words them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

NO_ITEM: Final = ""
"""Item, source and region of a line that belongs to no use, such as a flat fee without any."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an amount is what it is: the key of a text, and the numbers and ids it names."""

    key: str
    numbers: Mapping[str, int | str] = field(default_factory=dict[str, int | str])


class Step(NamedTuple):
    """One row of a calculation: ``quantity`` at ``unit_price`` gives ``fee``."""

    quantity: int
    unit_price: int
    fee: int


@dataclass(frozen=True, slots=True)
class Charge:
    """What one component of a price plan comes to in one term of the month.

    ``component`` is its id, or "class:{price class}" for the plan's plain prices;
    ``kind`` a PriceComponentKind. [from_, until) is the term, in seconds UTC; of a minimum the
    terms that have one. Credits, such as a free tier, have a negative ``fee``.
    """

    plan_id: str
    component: str
    kind: int
    from_: int
    until: int
    quantity: int
    steps: tuple[Step, ...]
    fee: int
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class BillLine:
    """The part of a charge that falls to one item, source, region and purpose.

    ``charge`` is the index of the charge among the bill's; ``part_from`` the cut of the use
    (seconds, UTC); ``quantity`` the records of it. ``operator_class`` is the operator's at
    that time. A line that belongs to no use has item, source and region `NO_ITEM` and
    purpose 0.
    """

    charge: int
    component: str
    part_from: int
    operator_class: str
    item: str
    source: str
    region: str
    purpose: int
    quantity: int
    fee: int
    explanation: Explanation


class RatedCell(NamedTuple):
    """What use alike costs in the end, all charges and credits together (micro-yuan).

    ``indexes`` are of its parts in the month's use; ``records`` is more than 0.
    """

    indexes: tuple[int, ...]
    records: int
    fee: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What an operator owes for a month [from_, until).

    ``total`` is the sum of the charges and the sum of the lines; it is never negative, and
    neither is the sum of the lines of one cut, item, source and region. ``plan_ids`` are
    the price plans it rests on, by start. ``cells`` are all use; what belongs to no use is in
    none of them.
    """

    operator_id: str
    from_: int
    until: int
    charges: tuple[Charge, ...]
    lines: tuple[BillLine, ...]
    total: int
    plan_ids: tuple[str, ...]
    cells: tuple[RatedCell, ...]
