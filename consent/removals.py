"""The duties to remove what was served under a consent."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement

from consent.tables import CONSENT_REMOVAL
from creditgate.v1.consent_service_pb2 import DataLifeEnd

_ROW = CONSENT_REMOVAL.c


@dataclass(frozen=True, slots=True)
class Removal:
    """A duty to remove what was served under a consent; times in seconds, UTC.

    It is about copies whose data life is over by ``life_until`` and that no earlier one is about.
    They must be gone by ``deadline``, and word of it come by ``report_by``, which is never sooner.
    They are held against nobody before ``spared_until``: the gateway was away when it was to tell
    that they were to go sooner than their data life says; 0 where it was not.
    """

    consent_id: str
    operator_id: str
    deadline: int
    data_life_end: DataLifeEnd.ValueType
    removed_at: int | None
    acknowledged_at: int | None
    report_by: int
    life_until: int
    spared_until: int = 0

    def overdue(self, now: int) -> bool:
        """Tell whether the time to report has passed at ``now`` without word of the removal, or
        had when the word came."""
        told_at = now if self.acknowledged_at is None else self.acknowledged_at
        return told_at >= self.report_by

    @property
    def kept_too_long(self) -> bool:
        """Whether copies were gone only after the deadline, by the operator's own word, though it
        could be told of it."""
        return self._gone_after(max(self.deadline, self.spared_until))

    @property
    def spared(self) -> bool:
        """Whether copies were gone after the deadline, and that is not held against their
        operator."""
        return self._gone_after(self.deadline) and not self.kept_too_long

    def _gone_after(self, instant: int) -> bool:
        return self.removed_at is not None and self.removed_at > instant


@dataclass(frozen=True, slots=True)
class Duties:
    """The duties to remove what was served under one consent, of which there is one at least.

    ``listed`` are the newest, oldest first; ``left_out`` counts those before them, and
    ``unreported`` all that the operator has not acknowledged. ``first`` is what it is to report
    first, the last one where it has reported all.
    """

    listed: tuple[Removal, ...]
    left_out: int
    unreported: int
    first: Removal

    @property
    def last(self) -> Removal:
        """The newest."""
        return self.listed[-1]

    @property
    def unreported_left_out(self) -> int:
        """How many of those that are not listed the operator has not acknowledged."""
        return self.unreported - sum(each.acknowledged_at is None for each in self.listed)


class Owed(NamedTuple):
    """Removals an operator has not acknowledged, the earliest instant by which copies must be
    gone (seconds, UTC), None where nothing is owed, and how many reports are overdue."""

    outstanding: int
    next_deadline: int | None
    overdue: int


def removal_of(row: Any) -> Removal:
    """Return a row of CONSENT_REMOVAL as what it says."""
    return Removal(
        row.consent_id,
        row.operator_id,
        row.deadline,
        row.data_life_end,
        row.removed_at,
        row.acknowledged_at,
        max(row.deadline, row.report_by),
        row.life_until,
        row.spared_until,
    )


def is_due(now: int) -> ColumnElement[bool]:
    """Return the condition for rows of CONSENT_REMOVAL whose report is due at ``now``."""
    return (_ROW.deadline <= now) & (_ROW.report_by <= now)
