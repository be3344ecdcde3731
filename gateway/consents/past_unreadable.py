"""Dealing with consents that are due, past those that cannot be read."""

from collections.abc import Callable
from typing import Protocol

from consent.unreadable import unreadable_left


class _Due(Protocol):
    """Gives ids of what is due at ``now`` (seconds, UTC), up to ``limit`` behind the first ``skip``;
    what is dealt with is due no more."""

    def __call__(self, now: int, limit: int, *, skip: int) -> tuple[str, ...]: ...


class PastUnreadable:
    """Deals with what ``due`` gives by ``deal``, an id and the time.

    What cannot be read stays due, and is tried again when all others were dealt with: however many
    there are, none of the others waits for them. Nor for one that fails otherwise, such as for a lock
    that is not given. Calls block; one thread's own.
    """

    def __init__(self, due: _Due, deal: Callable[[str, int], object]) -> None:
        self._due = due
        self._deal = deal
        self._left = 0

    def some(self, now: int, limit: int, stopping: Callable[[], bool]) -> bool:
        """Deal with up to ``limit`` that are due at ``now`` (seconds, UTC), until ``stopping``; tell
        whether there may be more. Raises what ``deal`` raises; the next call goes on behind that."""
        found = self._due(now, limit, skip=self._left)
        for consent_id in found:
            if stopping():
                return False
            dealt = False
            try:
                with unreadable_left(consent_id):
                    self._deal(consent_id, now)
                    dealt = True
            finally:
                self._left += not dealt
        if len(found) < limit:
            self._left = 0
        return len(found) == limit
