"""Room held in a day's quota for answers of other regions that are under way.

How many records such an answer has is known only once its region has metered it, and what is
metered there is charged here. So it is judged before the region is asked, by what is left and
not held for others; what is held ends with the answer's charge, in the same transaction.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Hold(NamedTuple):
    """Room for ``records``, until it is given back or ``until`` (seconds, UTC) has come; its answer
    is reckoned to have so many, and as many ``beyond`` that nothing is held for."""

    operator_id: str
    hold_id: str
    records: int
    until: int
    beyond: int = 0


class Room(NamedTuple):
    """The room that one chunk of an answer wants: ``hold``.

    It gets half of what is left at most, so that the operator can go on whatever becomes of that
    answer. Where it wants more, the ``among`` regions of its question share what is left: each needs
    ``least`` records then, and one that is alone all that it wants. What it needs and does not get
    goes beyond what is left if it comes: so it is begun where that of all others is less than what
    it gets, and all together go beyond what is left by less than one of them needs.
    """

    hold: Hold
    least: int = 1
    among: int = 1

    def of(self, left: int, beyond: int) -> Hold | None:
        """Return what it gets of ``left`` records that nothing is held of, None for nothing; answers
        under way may have so many ``beyond`` what is held for them."""
        if left <= 0:
            return None
        wanted, half = self.hold.records, left - left // 2
        needed = wanted if self.among == 1 else min(self.least, wanted)
        share = min(wanted, max(needed, left // self.among), half)
        short = max(0, needed - share)
        if short and beyond >= share:
            return None
        return self.hold._replace(records=share, beyond=short)


class HoldKey(NamedTuple):
    """What a hold is known by."""

    operator_id: str
    hold_id: str


class DayUse(NamedTuple):
    """What of a day's quotas is taken: records ``used``, and ``held`` for answers under way, which
    may have so many ``beyond`` that.

    ``by_licence`` is what counts against each licence of the operator. What of ``used`` no
    licence has, and what is held, counts against each of them.
    """

    used: int
    held: int
    by_licence: Mapping[str, int]
    beyond: int = 0


class DayCount:
    """Counts on from a `DayUse`; ``grew`` tells that something was counted."""

    def __init__(self, before: DayUse) -> None:
        self.grew = False
        self.used = before.used
        self.held = before.held
        self.beyond = before.beyond
        self.by_licence = dict(before.by_licence)
        # An earlier version that gives back what a licence bears takes it off the day alone.
        self._of_none = max(0, before.used - sum(before.by_licence.values()))

    def of(self, licence: str) -> int:
        """Return the records that count against a licence."""
        return self._of_none + self.by_licence.get(licence, 0)

    def add(self, licence: str, records: int) -> None:
        """Count records against a licence."""
        self.used += records
        self.by_licence[licence] = self.by_licence.get(licence, 0) + records


NO_USE: Final = DayUse(0, 0, MappingProxyType({}))
