"""Removals that are overdue become findings, and those acknowledged after all are rectified."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from sqlalchemy import (
    ColumnElement,
    Engine,
    Table,
    bindparam,
    case,
    exists,
    literal,
    literal_column,
    select,
    update,
)

from gateway.conformance.removal_tables import DUTIES, Finding
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

_AT_ONCE: Final = 500


class _Marked(NamedTuple):
    """A duty; ``key`` is what tells it from the operator's others."""

    operator_id: str
    key: int
    event_sequence: int
    record_id: str
    severity: int
    region: str


class RemovalFindings(Protocol):
    """What is needed of `gateway.conformance.findings.Findings`; doing either again changes
    nothing."""

    def open_removal_overdue(
        self,
        operator_id: str,
        record_id: str,
        event_sequence: int,
        severity: int,
        now: int,
        region: str = "",
    ) -> object:
        """Open the finding that a removal was not acknowledged by its deadline."""
        ...

    def removal_acknowledged(
        self, operator_id: str, event_sequence: int, now: int, region: str = ""
    ) -> object:
        """Rectify that finding."""
        ...


class Followed(Protocol):
    """What is needed of `gateway.conformance.removals.RemovalDuties`, and of those for events of
    other regions."""

    def follow(self) -> None:
        """Write down what is owed for all events there are."""
        ...


class OverdueRemovals:
    """Takes steps, in one process at a time (`gateway.storage.turn.ENFORCEMENT`).

    A duty is marked before its finding is opened or rectified, and unmarked after: whoever
    has the next turn takes up what was begun. ``table`` has the duties, keyed by operator and a
    number; one whose events are of other regions says of which.
    """

    def __init__(
        self, evidence: Engine, duties: Followed, findings: RemovalFindings, table: Table = DUTIES
    ) -> None:
        self._evidence = evidence
        self._duties = duties
        self._findings = findings
        self._table = table
        self._columns = table.c
        _, self._key = table.primary_key.columns
        region = table.c.region if "region" in table.c else literal("")
        columns = self._columns
        self._passed = (
            columns.acknowledged_at.is_(None),
            self._stands(Finding.NONE),
            columns.deadline <= bindparam("now"),
        )
        # As the partial index has it: SQLite does not see that one of them is.
        begun = columns.finding.in_([_written(Finding.DUE), _written(Finding.CLOSING)])
        self._any = select(exists().where(*self._passed), exists().where(begun))
        marked = select(
            columns.operator_id,
            self._key,
            columns.event_sequence,
            columns.record_id,
            columns.severity,
            region,
        ).limit(_AT_ONCE)
        self._marked_as = {
            finding: marked.where(begun, self._stands(finding))
            for finding in (Finding.DUE, Finding.CLOSING)
        }

    def step(self, now: int) -> None:
        """Write down what is owed, and bring all findings up to ``now`` (seconds, UTC).

        Blocks. Raises what the stores raise; the next step goes on.
        """
        self._duties.follow()
        with reading(self._evidence) as connection:
            if not any(connection.execute(self._any, {"now": now}).one()):
                return
        self._mark(now)
        while self._open_some(now):
            pass
        while self._close_some(now):
            pass

    def _mark(self, now: int) -> None:
        with bounded(self._evidence) as connection:
            # A word that comes first wins: the condition is looked at with the row locked.
            due = update(self._table).where(*self._passed).values(finding=Finding.DUE)
            marking = due.returning(*self._table.primary_key)
            found = connection.execute(marking, {"now": now}).all()
            wrote(connection, self._table, found)

    def _open_some(self, now: int) -> bool:
        marked = self._marked(Finding.DUE)
        for each in marked:
            self._findings.open_removal_overdue(
                each.operator_id,
                each.record_id,
                each.event_sequence,
                each.severity,
                now,
                each.region,
            )
        word_came = self._columns.acknowledged_at.is_not(None)
        self._set(marked, case((word_came, Finding.CLOSING.value), else_=Finding.OPEN.value))
        return len(marked) == _AT_ONCE

    def _close_some(self, now: int) -> bool:
        marked = self._marked(Finding.CLOSING)
        for each in marked:
            self._findings.removal_acknowledged(
                each.operator_id, each.event_sequence, now, each.region
            )
        self._set(marked, _written(Finding.CLOSED))
        return len(marked) == _AT_ONCE

    def _marked(self, finding: Finding) -> list[_Marked]:
        with reading(self._evidence) as connection:
            return [_Marked(*row) for row in connection.execute(self._marked_as[finding])]

    def _set(self, marked: Sequence[_Marked], finding: ColumnElement[int]) -> None:
        if not marked:
            return
        change = (
            update(self._table)
            .where(
                self._columns.operator_id == bindparam("of_operator"),
                self._key == bindparam("of_key"),
            )
            .values(finding=finding)
        )
        keys = [{"of_operator": each.operator_id, "of_key": each.key} for each in marked]
        with bounded(self._evidence) as connection:
            connection.execute(change, keys)
            wrote(connection, self._table, [tuple(key.values()) for key in keys])

    def _stands(self, finding: Finding) -> ColumnElement[bool]:
        return self._columns.finding == _written(finding)


def _written(finding: Finding) -> ColumnElement[int]:
    # Not bound: only then can a planner tell that a partial index serves.
    return literal_column(str(finding.value))
