"""Rows of events and revisions, made and written by the thousand."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Dialect, insert

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from gateway.catalogue.admission import Admitted
from gateway.disclose.frame import frame
from gateway.disclose.tables import EVENTS, NO_END, REVISIONS
from gateway.storage.statements import driver_text

PUBLISHED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED


class EventRow(NamedTuple):
    """One row of `tables.EVENTS`."""

    sequence: int
    kind: DisclosureEventKind.ValueType
    record_id: str
    revision: int
    subject: str
    digest: bytes
    disclosed_from: int
    disclosed_until: int
    at: int
    published_by: str
    note: str


class RevisionRow(NamedTuple):
    """One row of `tables.REVISIONS`."""

    sequence: int
    record_id: str
    revision: int
    subject: str
    line_no: int
    disclosed_from: int
    disclosed_until: int
    ended_by: int
    frame: bytes


def revision_row(admitted: Admitted, *, sequence: int, revision: int, line_no: int) -> RevisionRow:
    """Return the row of a revision, its frame fixed for ever (G1)."""
    record = DisclosedRecord(
        name="records/" + admitted.record_id,
        revision=revision,
        subject=admitted.subject,
        item=admitted.item,
        source=admitted.source,
        region=admitted.region,
        severity=admitted.severity,
        content=admitted.content,
        content_digest=admitted.digest,
        event_sequence=sequence,
    )
    record.disclosed_from.seconds = admitted.disclosed_from
    until = admitted.disclosed_until
    if until is not None:
        record.disclosed_until.seconds = until
    return RevisionRow(
        sequence,
        admitted.record_id,
        revision,
        admitted.subject,
        line_no,
        admitted.disclosed_from,
        NO_END if until is None else until,
        0,
        frame(record),
    )


def event_row(
    revision: RevisionRow,
    digest: bytes,
    *,
    kind: DisclosureEventKind.ValueType,
    at: int,
    publisher: str,
    note: str,
) -> EventRow:
    """Return the row of the event that fixed a revision."""
    return EventRow(
        revision.sequence,
        kind,
        revision.record_id,
        revision.revision,
        revision.subject,
        digest,
        revision.disclosed_from,
        revision.disclosed_until,
        at,
        publisher,
        note,
    )


class RowWriter:
    """Writes rows in the database of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._events = driver_text(insert(EVENTS), dialect)
        self._revisions = driver_text(insert(REVISIONS), dialect)

    def write(
        self,
        connection: Connection,
        events: Sequence[EventRow],
        revisions: Sequence[RevisionRow] = (),
    ) -> None:
        """Insert the rows in the connection's transaction."""
        if events:
            connection.exec_driver_sql(self._events, list[Any](events))
        if revisions:
            connection.exec_driver_sql(self._revisions, list[Any](revisions))
