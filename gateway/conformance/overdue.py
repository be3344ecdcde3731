"""Removals that are overdue become findings, and those acknowledged after all are rectified."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Engine, bindparam, case, literal_column, select, update

from gateway.conformance.removal_tables import DUTIES, Finding
from gateway.conformance.removals import RemovalDuties
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

_AT_ONCE: Final = 500
_MARKED: Final = select(
    DUTIES.c.operator_id, DUTIES.c.event_sequence, DUTIES.c.record_id, DUTIES.c.severity
).limit(_AT_ONCE)


class _Marked(NamedTuple):
    operator_id: str
    event_sequence: int
    record_id: str
    severity: int


class RemovalFindings(Protocol):
    """What is needed of `gateway.conformance.findings.Findings`; doing either again changes
    nothing."""

    def open_removal_overdue(
        self, operator_id: str, record_id: str, event_sequence: int, severity: int, now: int
    ) -> object:
        """Open the finding that a removal was not acknowledged by its deadline."""
        ...

    def removal_acknowledged(self, operator_id: str, event_sequence: int, now: int) -> object:
        """Rectify that finding."""
        ...


class OverdueRemovals:
    """Takes steps, in one process at a time (`gateway.storage.turn.ENFORCEMENT`).

    A duty is marked before its finding is opened or rectified, and unmarked after: whoever
    has the next turn takes up what was begun.
    """

    def __init__(self, evidence: Engine, duties: RemovalDuties, findings: RemovalFindings) -> None:
        self._evidence = evidence
        self._duties = duties
        self._findings = findings

    def step(self, now: int) -> None:
        """Write down what is owed, and bring all findings up to ``now`` (seconds, UTC).

        Blocks. Raises what the stores raise; the next step goes on.
        """
        self._duties.follow()
        self._mark(now)
        while self._open_some(now):
            pass
        while self._close_some(now):
            pass

    def _mark(self, now: int) -> None:
        passed = (
            DUTIES.c.acknowledged_at.is_(None),
            _stands(Finding.NONE),
            DUTIES.c.deadline <= now,
        )
        with reading(self._evidence) as connection:
            if (
                connection.execute(select(DUTIES.c.deadline).where(*passed).limit(1)).first()
                is None
            ):
                return
        with self._evidence.begin() as connection:
            # A word that comes first wins: the condition is looked at with the row locked.
            due = update(DUTIES).where(*passed).values(finding=Finding.DUE)
            found = connection.execute(due.returning(*DUTIES.primary_key)).all()
            wrote(connection, DUTIES, found)

    def _open_some(self, now: int) -> bool:
        marked = self._marked(Finding.DUE)
        for each in marked:
            self._findings.open_removal_overdue(
                each.operator_id, each.record_id, each.event_sequence, each.severity, now
            )
        word_came = DUTIES.c.acknowledged_at.is_not(None)
        self._set(marked, case((word_came, Finding.CLOSING.value), else_=Finding.OPEN.value))
        return len(marked) == _AT_ONCE

    def _close_some(self, now: int) -> bool:
        marked = self._marked(Finding.CLOSING)
        for each in marked:
            self._findings.removal_acknowledged(each.operator_id, each.event_sequence, now)
        self._set(marked, literal_column(str(Finding.CLOSED.value)))
        return len(marked) == _AT_ONCE

    def _marked(self, finding: Finding) -> list[_Marked]:
        with reading(self._evidence) as connection:
            rows = connection.execute(_MARKED.where(_stands(finding)))
            return [_Marked(*row) for row in rows]

    def _set(self, marked: Sequence[_Marked], finding: ColumnElement[int]) -> None:
        if not marked:
            return
        change = (
            update(DUTIES)
            .where(
                DUTIES.c.operator_id == bindparam("of_operator"),
                DUTIES.c.event_sequence == bindparam("of_event"),
            )
            .values(finding=finding)
        )
        keys = [
            {"of_operator": each.operator_id, "of_event": each.event_sequence} for each in marked
        ]
        with self._evidence.begin() as connection:
            connection.execute(change, keys)
            wrote(connection, DUTIES, [tuple(key.values()) for key in keys])


def _stands(finding: Finding) -> ColumnElement[bool]:
    # Written out, not bound: only then can a planner tell that a partial index serves.
    return DUTIES.c.finding == literal_column(str(finding.value))
