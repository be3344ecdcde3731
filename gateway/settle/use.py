"""What sharing reads of an operator's month beside what rating does (`creditgate.rating.use`).

The ledger's reader gives them as a `MonthUse`, cut at the instants `creditgate.rating.terms.cuts`
names: within a cut price plan, sharing rule, operator class and price classes stand still.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from creditgate.rating.use import RatedUse


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
    ``part_from`` as in `creditgate.rating.use.UsePart`.
    """

    part_from: int
    supplies: tuple[Supply, ...]
    answers: int


class Owed(NamedTuple):
    """What this region owes another for so many ``records`` of it that were used, by that region's
    list price (micro-yuan). ``region`` is its entity identifier; the rest is of the use's parts,
    whose records these are among."""

    part_from: int
    item: str
    source: str
    district: str
    region: str
    records: int
    amount: int


class MonthUse(RatedUse, Protocol):
    """What one operator used in a month, and by which sources together."""

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
