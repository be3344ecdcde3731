"""Removals owed: who must remove or replace what, by when, and who said it is done (G9).

Whoever was served a revision, or has put it right, and may still keep its copy, owes its removal
from the event on that makes it void. No answer is served with a revision that is void (`gateway.meter.ledger`), so
once the event is committed all who owe are known. Of a copy that only consents opened nothing is
owed for an event that came when none of them let it be kept any more, or once its removal was
acknowledged for them. Nor is it where the operator had said before that it holds no such copy, and
was served none since (`gateway.conformance.said_before`). Nor is it for a correction that leaves content and period as they were; and
what is owed for one ends by itself where a later one corrects the record back.

Source: Opinions on improving the social credit system (2025-03-31), article 13 (removal at
once on repair), and article 8 (same content, same period).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from gateway.conformance.event_pages import Keepers, read_changes
from gateway.conformance.owing import Deadlines, Owing, duty_rows, owing_for
from gateway.conformance.put_right import keep_put_right, put_right_of
from gateway.conformance.removal_rows import (
    ACKNOWLEDGE,
    BY_THEMSELVES,
    follow_to,
    followed,
    hold_followed,
    locked,
    newly_told,
    owed_no_more,
    owing_of,
    word_on,
)
from gateway.conformance.removal_tables import DUTIES
from gateway.conformance.revisions import revisions_of
from gateway.disclose.tables import NO_END
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote

_EVENTS_AT_ONCE: Final = 500


class Owed(NamedTuple):
    """Removals an operator has not acknowledged, how many of them are past their deadline,
    and the earliest deadline (seconds, UTC), None where nothing is owed."""

    outstanding: int
    overdue: int
    next_deadline: int | None


class Duty(NamedTuple):
    """The duty of one operator to remove or replace one record's copy for one event.

    ``removed_at`` is when the copy was gone by the operator's word, ``acknowledged_at`` when
    it said so; None while it did not. Times in seconds, UTC.
    """

    operator_id: str
    event_sequence: int
    record_id: str
    severity: int
    deadline: int
    removed_at: int | None
    acknowledged_at: int | None


class Removed(NamedTuple):
    """A copy that is gone since ``removed_at`` (seconds, UTC) for an event."""

    event_sequence: int
    removed_at: int


class RemovalDuties:
    """Keeps the duties; calls block, from any thread and process."""

    def __init__(self, engines: Engines, keepers: Keepers, deadlines: Deadlines) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._keepers = keepers
        self._deadlines = deadlines
        self._add = INSERT[engines.evidence.dialect.name](DUTIES).on_conflict_do_nothing()

    def follow(self) -> None:
        """Write down what is owed for the events that were committed by now.

        Where several processes do, they write the same.
        """
        with reading(self._evidence) as connection:
            at = followed(connection)
        while True:
            with reading(self._records) as connection:
                page = read_changes(connection, at, _EVENTS_AT_ONCE)
            if page.read_to <= at:
                return
            alike = {sequence for each in page.events for sequence in each.void_alike}
            held = dict(self._keepers.keepers(alike))
            with bounded(self._evidence, LONG_SECONDS) as connection:
                hold_followed(connection)
                # What was attested since its keepers were asked for.
                for operator_id, sequences in put_right_of(connection, alike).items():
                    for sequence in sequences:
                        held[sequence] = {**held.get(sequence, {}), operator_id: NO_END}
                self._owe(connection, owing_for(page.events, held))
                for event in page.events:
                    if event.restored:
                        owed_no_more(connection, event)
                follow_to(connection, page.read_to)
            at = page.read_to

    def put_right(
        self, connection: Connection, operator_id: str, sequences: Collection[int]
    ) -> None:
        """Write, in the transaction of ``connection``, that an operator holds right copies of
        revisions that it was never served so: from now on it owes their removal as any other's.
        Its row must be locked."""
        new = keep_put_right(connection, operator_id, sequences)
        if not new:
            return
        # What ended them until now is looked at here, anything later by who follows the events.
        hold_followed(connection)
        with reading(self._records) as records:
            ended = {each.ending for each in revisions_of(records, new)}
            events = [
                event
                for each in sorted(filter(None, ended))
                for event in read_changes(records, each.event_sequence - 1, 1).events
            ]
        self._owe(connection, owing_for(events, {each: {operator_id: NO_END} for each in new}))

    def _owe(self, connection: Connection, owing: Sequence[Owing]) -> None:
        if owing:
            duties = duty_rows(connection, owing, self._deadlines)
            connection.execute(self._add, duties)
            wrote(connection, DUTIES, map(_key, duties))

    def owed(self, operator_id: str, now: int) -> Owed:
        """Return what an operator has still to acknowledge at ``now`` (seconds, UTC)."""
        self.follow()
        deadline = DUTIES.c.deadline
        query = select(
            func.count(), func.count().filter(deadline <= now), func.min(deadline)
        ).where(DUTIES.c.operator_id == operator_id, DUTIES.c.acknowledged_at.is_(None))
        with reading(self._evidence) as connection:
            return Owed(*connection.execute(query).one())

    def acknowledge(
        self, operator_id: str, removals: Sequence[Removed], by: str, now: int
    ) -> tuple[int, int]:
        """Write that an operator has removed what events made void.

        ``by`` is the client that says so, ``now`` the time (seconds, UTC). Returns how many
        were new, the first word on each standing, and how many of ``removals`` were taken:
        all before the first event for which the operator owes nothing. Raises GoneBefore, and
        nothing is written, where a copy is told to be gone before its event.
        """
        self.follow()
        with bounded(self._evidence, LONG_SECONDS) as connection:
            known = locked(connection, operator_id, {each.event_sequence for each in removals})
            new, taken = newly_told(removals, known)
            if new:
                connection.execute(
                    ACKNOWLEDGE,
                    [
                        word_on(operator_id, known[sequence], removed_at, by, now)
                        for sequence, removed_at in new.items()
                    ],
                )
                wrote(connection, DUTIES, [(operator_id, sequence) for sequence in new])
        return len(new), taken

    def settle_consented(self, operator_id: str, by: str, now: int) -> None:
        """Write that what an operator owes for events is done where no copy it was served may be
        left of what was owed: all that were not over by the event are gone by its word on
        consents, which the client ``by`` gave at ``now`` (seconds, UTC)."""
        self.follow()
        columns = DUTIES.c
        query = select(columns.event_sequence, columns.revision_sequence, columns.owed_since).where(
            columns.operator_id == operator_id, columns.acknowledged_at.is_(None)
        )
        with reading(self._evidence) as connection:
            owed = connection.execute(query).all()
        held = self._keepers.keepers({row.revision_sequence for row in owed}, operator_id)
        gone = [
            Removed(row.event_sequence, now)
            for row in owed
            if held[row.revision_sequence].get(operator_id, 0) <= row.owed_since
        ]
        if gone:
            self.acknowledge(operator_id, gone, by, now)

    def owing(self, operator_id: str, sequences: Collection[int]) -> Mapping[int, int]:
        """Return for which of the events an operator owes the removal still, and by when
        (seconds, UTC)."""
        self.follow()
        with reading(self._evidence) as connection:
            return owing_of(connection, operator_id, sequences)

    def of_record(self, record_id: str) -> list[Duty]:
        """Return all duties for a record that did not end by themselves, in order of the events."""
        query = _DUTIES.where(DUTIES.c.record_id == record_id, _BY_WORD).order_by(
            DUTIES.c.event_sequence, DUTIES.c.operator_id
        )
        with reading(self._evidence) as connection:
            return [Duty(*row) for row in connection.execute(query)]

    def acknowledged_by(self, operator_id: str, from_: int, until: int, limit: int) -> list[Duty]:
        """Return what an operator acknowledged within [from_, until) (seconds, UTC), the first
        ``limit`` of it in order of time."""
        at = DUTIES.c.acknowledged_at
        query = (
            _DUTIES.where(DUTIES.c.operator_id == operator_id, _BY_WORD, at >= from_, at < until)
            .order_by(at, DUTIES.c.event_sequence)
            .limit(limit)
        )
        with reading(self._evidence) as connection:
            return [Duty(*row) for row in connection.execute(query)]


_BY_WORD: Final = DUTIES.c.acknowledged_by.not_in(BY_THEMSELVES)
_DUTIES: Final = select(
    DUTIES.c.operator_id,
    DUTIES.c.event_sequence,
    DUTIES.c.record_id,
    DUTIES.c.severity,
    DUTIES.c.deadline,
    DUTIES.c.removed_at,
    DUTIES.c.acknowledged_at,
)


def _key(duty: Mapping[str, Any]) -> tuple[Any, ...]:
    return duty["operator_id"], duty["event_sequence"]
