"""What rating reads of an operator's month: facts, without any price plan.

They are cut at the instants `creditgate.rating.terms.cuts` names: within a cut price plan, sharing
rule, operator class and price classes stand still.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class UsePart(NamedTuple):
    """Use of one item, source and region for one purpose at one list price, within one cut.

    ``part_from`` is the start of the cut (seconds, UTC), ``price_class`` the item's then,
    ``purpose`` a Purpose, ``unit_price`` what one record was charged at serving
    (micro-yuan). ``records`` and ``answers`` are net of reversals and never negative: a
    reversal counts in the cut of the answer it reverses.
    """

    part_from: int
    item: str
    source: str
    region: str
    price_class: str
    purpose: int
    unit_price: int
    records: int
    answers: int


class RatedUse(Protocol):
    """What one operator used in a month [from_, until), seconds UTC, as far as it is priced."""

    @property
    def operator_id(self) -> str:
        """Who used it."""
        ...

    @property
    def from_(self) -> int:
        """First instant of the month."""
        ...

    @property
    def until(self) -> int:
        """First instant after the month, also while it is not over yet."""
        ...

    @property
    def parts(self) -> Sequence[UsePart]:
        """The use; order and grouping do not matter."""
        ...

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many different subjects the parts of these indexes are about.

        Subjects whose records were all reversed do not count.
        """
        ...
