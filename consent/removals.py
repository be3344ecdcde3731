"""The duty to remove what was served under a consent."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement

from consent.tables import CONSENT_REMOVAL
from creditgate.v1.consent_service_pb2 import DataLifeEnd


@dataclass(frozen=True, slots=True)
class Removal:
    """The duty to remove what was served under a consent; times in seconds, UTC.

    Copies must be gone by ``deadline``, and word of it come by ``report_by``, which is never
    sooner.
    """

    consent_id: str
    operator_id: str
    deadline: int
    data_life_end: DataLifeEnd.ValueType
    removed_at: int | None
    acknowledged_at: int | None
    report_by: int

    def overdue(self, now: int) -> bool:
        """Tell whether the time to report has passed at ``now`` without word of the removal, or
        had when the word came."""
        told_at = now if self.acknowledged_at is None else self.acknowledged_at
        return told_at >= self.report_by

    @property
    def kept_too_long(self) -> bool:
        """Whether copies were gone only after the deadline, by the operator's own word."""
        return self.removed_at is not None and self.removed_at > self.deadline


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
    )


def is_due(now: int) -> ColumnElement[bool]:
    """Return the condition for rows of CONSENT_REMOVAL whose report is due at ``now``."""
    return (CONSENT_REMOVAL.c.deadline <= now) & (CONSENT_REMOVAL.c.report_by <= now)
