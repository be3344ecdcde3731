"""Checking the disclosure: events, revisions and frames against one another, and what the log
committed to when they were logged."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, Row, func, select

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from gateway.disclose.frame import frame, unframe
from gateway.disclose.model import Line
from gateway.disclose.tables import EVENTS, LINES, NO_END, REVISIONS
from gateway.transparency.events import DisclosedEvent
from gateway.transparency.faults import Faults

_FIXING: Final = frozenset(
    (
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED,
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED,
    )
)
_AT_ONCE: Final = 1_000
_Row = Row[*tuple[Any, ...]]


class _Kept(NamedTuple):
    row: _Row
    record: DisclosedRecord


class CheckedEvents:
    """The disclosure up to event ``newest``, as the store of records has it."""

    def __init__(self, connection: Connection, newest: int, faults: Faults) -> None:
        self._connection = connection
        self._newest = newest
        self._faults = faults
        self._lines = {
            row.line_no: Line(row.item, row.source, row.region)
            for row in connection.execute(select(LINES))
        }
        self._revisions = 0

    def events(self) -> Iterator[DisclosedEvent]:
        """Yield every event in order, with the revision that it fixed or ended, as they are
        kept; what does not fit together is noted, and left out. Raises EnoughFaults."""
        after = 0
        while after < self._newest:
            last = min(after + _AT_ONCE, self._newest)
            rows = self._connection.execute(
                select(EVENTS)
                .where(EVENTS.c.sequence > after, EVENTS.c.sequence <= last)
                .order_by(EVENTS.c.sequence)
            ).all()
            self._faults.require(
                [row.sequence for row in rows] == list(range(after + 1, last + 1)),
                f"disclosure_events, {after + 1} to {last}",
                "events are missing",
            )
            kept = self._kept(rows, after, last)
            for row in rows:
                event = self._event(row, kept)
                if event is not None:
                    yield event
            after = last
        count = self._connection.execute(
            select(func.count()).select_from(REVISIONS).where(REVISIONS.c.sequence <= self._newest)
        ).scalar_one()
        # Also behind the events looked at: whatever is there is served.
        unfixed = self._connection.execute(
            select(func.count())
            .select_from(REVISIONS.outerjoin(EVENTS, EVENTS.c.sequence == REVISIONS.c.sequence))
            .where(EVENTS.c.sequence.is_(None))
        ).scalar_one()
        self._faults.require(
            count == self._revisions and not unfixed,
            "record_revisions",
            "there are revisions that no event fixed",
        )

    def _kept(self, rows: Sequence[Any], after: int, last: int) -> dict[tuple[str, int], _Kept]:
        """Return the revisions of a page of events, by record and revision."""
        fixed = self._connection.execute(
            select(REVISIONS).where(REVISIONS.c.sequence > after, REVISIONS.c.sequence <= last)
        ).all()
        known = {row.sequence for row in fixed}
        others = sorted(
            {
                row.record_id
                for row in rows
                if row.sequence not in known
                or row.kind == DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
            }
        )
        former = self._connection.execute(
            select(REVISIONS).where(REVISIONS.c.record_id.in_(others))
        ).all()
        return {
            (row.record_id, row.revision): _Kept(row, self._record(row))
            for row in (*fixed, *former)
        }

    def _record(self, row: _Row) -> DisclosedRecord:
        """Return the record in a stored frame, once it is seen to be what the row says."""
        place = f"record_revisions, sequence {row.sequence}"
        try:
            record = unframe(bytes(row.frame))
        except (DecodeError, IndexError):
            self._faults.note(place, "its frame cannot be read")
            return DisclosedRecord()
        # What is unknown to the contract was never published.
        record.DiscardUnknownFields()
        line = self._lines.get(row.line_no)
        until = record.disclosed_until.seconds if record.HasField("disclosed_until") else NO_END
        self._faults.require(
            frame(record) == bytes(row.frame)
            and not record.served_fields
            and record.content_digest == sha256(record.content).digest()
            and line == (record.item, record.source, record.region)
            and (
                f"records/{row.record_id}",
                row.revision,
                row.subject,
                row.disclosed_from,
                row.disclosed_until,
                row.sequence,
            )
            == (
                record.name,
                record.revision,
                record.subject,
                record.disclosed_from.seconds,
                until,
                record.event_sequence,
            ),
            place,
            "its frame, its columns and its line do not say the same",
        )
        return record

    def _event(self, row: _Row, kept: dict[tuple[str, int], _Kept]) -> DisclosedEvent | None:
        place = f"disclosure_events, sequence {row.sequence}"
        revision = kept.get((row.record_id, row.revision))
        if revision is None:
            self._faults.note(place, "its revision is missing")
            return None
        fixes = row.kind in _FIXING
        former = revision
        if row.kind == DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED:
            former = kept.get((row.record_id, row.revision - 1))
        self._revisions += fixes
        record = revision.record
        ends = row.kind != DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
        self._faults.require(
            (revision.row.sequence == row.sequence) == fixes
            and (not ends or (former is not None and former.row.ended_by == row.sequence))
            and (row.subject, bytes(row.digest)) == (record.subject, record.content_digest)
            and (row.disclosed_from, row.disclosed_until)
            == (revision.row.disclosed_from, revision.row.disclosed_until),
            place,
            "the event and its revision do not say the same",
        )
        if fixes and revision.row.ended_by:
            self._require_ended(revision.row)
        return DisclosedEvent(
            row.sequence,
            row.kind,
            row.at,
            revision.row.sequence,
            former.row.sequence if ends and former is not None else 0,
            row.record_id,
            row.revision,
            row.subject,
            record.item,
            record.severity,
            bytes(row.digest),
            row.disclosed_from,
            row.disclosed_until,
            record.content,
            record.source,
            record.region,
            row.published_by,
            row.note,
        )

    def _require_ended(self, row: _Row) -> None:
        """See that a revision was ended by an event that ends it."""
        by = self._connection.execute(
            select(EVENTS.c.kind, EVENTS.c.record_id, EVENTS.c.revision).where(
                EVENTS.c.sequence == row.ended_by
            )
        ).first()
        corrected = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
        self._faults.require(
            by is not None
            and by.kind != DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
            and (by.record_id, by.revision)
            == (row.record_id, row.revision + (by.kind == corrected)),
            f"record_revisions, sequence {row.sequence}",
            "it is marked as ended by an event that did not end it",
        )
