"""A month of use kept as plain facts: `MonthUse` for tests of rating and sharing."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from creditgate.rating.use import UsePart
from gateway.settle.use import Combination, PriceClassOf, Supply


class Served(NamedTuple):
    """One record about ``subject``, served in the answer of number ``answer``."""

    at: int
    answer: int
    subject: str
    item: str
    source: str
    region: str
    purpose: int
    unit_price: int


@dataclass(frozen=True)
class PlainMonth:
    """`gateway.settle.use.MonthUse` over facts: each is a part of its own."""

    facts: Sequence[Served]
    starts: Sequence[int]
    until: int
    price_class_of: PriceClassOf
    operator_id: str = "alpha"
    parts: Sequence[UsePart] = field(init=False)

    def __post_init__(self) -> None:
        parts = tuple(
            UsePart(
                self.cut_of(fact.at),
                fact.item,
                fact.source,
                fact.region,
                self.price_class_of(fact.item, fact.at),
                fact.purpose,
                fact.unit_price,
                1,
                1,
            )
            for fact in self.facts
        )
        object.__setattr__(self, "parts", parts)

    @property
    def from_(self) -> int:
        """First instant of the month."""
        return self.starts[0]

    def cut_of(self, at: int) -> int:
        """Return the start of the cut ``at`` lies in."""
        return self.starts[bisect_right(self.starts, at) - 1]

    def subjects(self, parts: Collection[int]) -> int:
        """See the protocol."""
        return len({self.facts[index].subject for index in parts})

    def combinations(self) -> Sequence[Combination]:
        """See the protocol."""
        answers: dict[tuple[int, str], list[int]] = defaultdict(list)
        for part, fact in enumerate(self.facts):
            answers[fact.answer, fact.subject].append(part)
        alike: dict[tuple[int, frozenset[tuple[str, str]]], list[list[int]]] = defaultdict(list)
        for parts in answers.values():
            facts = [self.facts[part] for part in parts]
            given = frozenset((fact.item, fact.source) for fact in facts)
            alike[self.cut_of(facts[0].at), given].append(parts)
        return [
            Combination(
                cut,
                tuple(
                    sorted(
                        Supply(self.facts[part].item, self.facts[part].source, part, 1)
                        for parts in group
                        for part in parts
                    )
                ),
                len(group),
            )
            for (cut, _), group in alike.items()
        ]
