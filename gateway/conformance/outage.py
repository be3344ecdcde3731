"""Time in which the gateway could not be reached counts for no deadline of an operator. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, case


class Outage(NamedTuple):
    """The gateway was away from ``began`` to ``ended`` (seconds, UTC); who owed something has
    ``grace`` seconds from its end at the least."""

    began: int
    ended: int
    grace: int

    @property
    def seconds(self) -> int:
        """How long it lasted."""
        return self.ended - self.began

    def put_off(self, deadline: int) -> int:
        """Return a deadline of before the outage as it is after it, seconds in UTC: what passed
        before stays, of any other as much time is left as was when it began."""
        if deadline < self.began:
            return deadline
        return max(deadline + self.seconds, self.ended + self.grace)

    def put_off_in(self, deadline: ColumnElement[int]) -> ColumnElement[int]:
        """Return `put_off` of a column of a store, of rows whose deadline had not passed."""
        later, least = deadline + self.seconds, self.ended + self.grace
        return case((later < least, least), else_=later)


def put_off_by(outages: Iterable[Outage], begun: int, deadline: int) -> int:
    """Return a deadline that is written down nowhere, of what began at ``begun``, as it is after
    ``outages``, in order of time (seconds, UTC)."""
    for each in outages:
        if each.ended > begun:
            deadline = each.put_off(deadline)
    return deadline
