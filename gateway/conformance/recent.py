"""What was told of late, kept for a while and without a gap, so that many read it once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.conformance.event_pages import WatchedEvent

MOST_KEPT: Final = 4_096


class Told(NamedTuple):
    """An event and whom it concerns: the operators that were served the record before it, and
    of those the ones that were served the very revision that is void since. It concerns those
    of them that had it by ``consents`` alone only as long as they do not say that they have
    removed it. ``deadline`` is by when the removal is owed as it was written down (seconds, UTC);
    None where the event was read before that."""

    event: WatchedEvent
    served: frozenset[str] = frozenset()
    owing: frozenset[str] = frozenset()
    consents: frozenset[str] = frozenset()
    deadline: int | None = None


class ToldPage(NamedTuple):
    """What there is to tell, in order; all events up to ``read_to`` were looked at."""

    told: Sequence[Told]
    read_to: int


class Recent:
    """The newest events, bounded; whole between the positions ``since`` and ``read_to``."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._told: list[Told] = []
        self.since = 0
        self.read_to = 0

    def begin_anew(self, at: int) -> None:
        """Forget all, and be whole from a position on."""
        self._told = []
        self.since = self.read_to = at

    def add(self, told: Sequence[Told], read_to: int) -> None:
        """Add the next events, the oldest giving way; all up to ``read_to`` were looked at."""
        self._told += told
        # Not one by one: a list is moved as a whole.
        if len(self._told) > 2 * self._most:
            self.since = self._told[-self._most - 1].event.sequence
            self._told = self._told[-self._most :]
        self.read_to = read_to

    def after(self, position: int, limit: int) -> ToldPage | None:
        """Return what comes after a position, None where it is older than what is kept."""
        if position < self.since:
            return None
        start = bisect_right(self._told, position, key=_sequence)
        some = self._told[start : start + limit]
        whole = start + limit >= len(self._told)
        return ToldPage(some, max(position, self.read_to) if whole else some[-1].event.sequence)


def _sequence(told: Told) -> int:
    return told.event.sequence
