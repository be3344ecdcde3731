"""Room held in a day's quota for answers of other regions that are under way.

How many records such an answer has is known only once its region has metered it, and what is
metered there is charged here. So it is judged before the region is asked, by what is left and
not held for others; what is held ends with the answer's charge, in the same transaction.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Hold(NamedTuple):
    """Room for at most ``records``, until it is given back or ``until`` (seconds, UTC) has come."""

    operator_id: str
    hold_id: str
    records: int
    until: int


class Room(NamedTuple):
    """The room that one chunk of an answer wants: ``hold``.

    Where less is left, what is left is shared among the ``among`` regions of its question, of which
    it gets ``least`` records all the same, or what is left. One that is alone has all that it wants
    held, be it more than is left: so nothing more is begun while it may come to so much, and all
    together exceed what is left by less than one of them.
    """

    hold: Hold
    least: int = 1
    among: int = 1

    def of(self, left: int) -> Hold | None:
        """Return what it gets of ``left`` records that nothing is held of, None for nothing."""
        if left <= 0:
            return None
        if self.among == 1:
            return self.hold
        share = min(self.hold.records, max(self.least, left // self.among), left)
        return self.hold._replace(records=share)


class HoldKey(NamedTuple):
    """What a hold is known by."""

    operator_id: str
    hold_id: str


class DayUse(NamedTuple):
    """What of a day's quotas is taken: records ``used``, and ``held`` for answers under way.

    ``by_licence`` is what counts against each licence of the operator. What of ``used`` no
    licence has, and what is held, counts against each of them.
    """

    used: int
    held: int
    by_licence: Mapping[str, int]


class DayCount:
    """Counts on from a `DayUse`."""

    def __init__(self, before: DayUse) -> None:
        self.used = before.used
        self.held = before.held
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
