"""What a month's rating and sharing read of an operator's use: facts, without any price plan.

The ledger's reader gives them as a `MonthUse`, cut at the instants `gateway.settle.terms.cuts`
names: within a cut price plan, sharing rule, operator class and price classes stand still.
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


class Supply(NamedTuple):
    """What one source gave of one item to the answers of a combination, in one part of the use.

    ``part`` is the index of the part in the month's use; ``records`` are net of reversals.
    """

    item: str
    source: str
    part: int
    records: int


class Combination(NamedTuple):
    """Answers alike: about one subject each, and of the same items from the same sources.

    What one answer, or one chunk of a batch, holds about one subject counts as one.
    ``supplies`` are in order of item, source and part, each once, summed over the answers;
    ``part_from`` as in `UsePart`.
    """

    part_from: int
    supplies: tuple[Supply, ...]
    answers: int


class MonthUse(Protocol):
    """What one operator used in a month [from_, until), seconds UTC."""

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

    def combinations(self) -> Sequence[Combination]:
        """Return the use by combination of sources, in order; asked only where a sharing
        rule goes by contribution."""
        ...


class MonthUseReader(Protocol):
    """Reads the months of the usage ledger. Calls block."""

    def month_use(
        self, operator_id: str, starts: Sequence[int], until: int, price_class_of: "PriceClassOf"
    ) -> MonthUse:
        """Return all use in [starts[0], until), cut at ``starts``, read at one instant."""
        ...


class PriceClassOf(Protocol):
    """Tells the price class of an item at an instant."""

    def __call__(self, item: str, at: int) -> str:
        """Return the class ``item`` had at ``at`` (seconds, UTC)."""
        ...
