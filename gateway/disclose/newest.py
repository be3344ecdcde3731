"""The newest revision of a record, and what changes of it are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from creditgate.refusal import Refused
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.catalogue.admission import Admitted
from gateway.disclose.frame import unframe
from gateway.disclose.model import Ended
from gateway.disclose.tables import EVENTS, NO_END, REVISIONS

_IDS_A_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest revision of a record: its event's sequence, that of the event that ended it (0
    while it is live), and the record."""

    sequence: int
    ended_by: int
    record: DisclosedRecord

    @property
    def live(self) -> bool:
        """Whether nothing has ended it."""
        return self.ended_by == 0


def newest_of(connection: Connection, record_ids: Sequence[str]) -> dict[str, Newest]:
    """Return the newest revision of each of ``record_ids`` that there is."""
    found: dict[str, Newest] = {}
    for start in range(0, len(record_ids), _IDS_A_QUERY):
        rows = connection.execute(
            select(
                REVISIONS.c.record_id, REVISIONS.c.sequence, REVISIONS.c.ended_by, REVISIONS.c.frame
            )
            .where(REVISIONS.c.record_id.in_(record_ids[start : start + _IDS_A_QUERY]))
            .order_by(REVISIONS.c.record_id, REVISIONS.c.revision)
        )
        for record_id, sequence, ended_by, stored in rows:
            found[record_id] = Newest(sequence, ended_by, unframe(stored))
    return found


def until_of(record: DisclosedRecord) -> int:
    """Return the first second (UTC) after the period of a record, `NO_END` where it has no end."""
    return record.disclosed_until.seconds if record.HasField("disclosed_until") else NO_END


def is_same(record: DisclosedRecord, admitted: Admitted) -> bool:
    """Tell whether a record is disclosed as ``admitted`` has it."""
    until = NO_END if admitted.disclosed_until is None else admitted.disclosed_until
    return (
        record.content_digest == admitted.digest
        and record.subject == admitted.subject
        and record.item == admitted.item
        and record.source == admitted.source
        and record.region == admitted.region
        and record.severity == admitted.severity
        and record.disclosed_from.seconds == admitted.disclosed_from
        and until_of(record) == until
    )


def require_current(newest: Newest, expected_revision: int) -> None:
    """Raise Refused STATE_CONFLICT for a record that has ended, ETAG_MISMATCH for another revision."""
    if not newest.live:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The record's disclosure has ended; disclose a new finding under a new id.",
        )
    if newest.record.revision != expected_revision:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
            "expected_revision is not the record's current revision; read it again.",
            metadata={"current_revision": str(newest.record.revision)},
        )


def require_within_period(record: DisclosedRecord, at: int) -> None:
    """Raise Refused STATE_CONFLICT for a record whose period is over at ``at`` (seconds, UTC)."""
    if until_of(record) <= at:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The record's disclosure period is over; a correction does not disclose it again."
            " Where it ended too soon by mistake, disclose the finding under a new id.",
        )


def same_end(
    connection: Connection, newest: Newest, kind: DisclosureEventKind.ValueType, note: str
) -> Ended:
    """Return how a record ended, by an end of this kind and note; raises Refused STATE_CONFLICT for
    another."""
    last = connection.execute(select(EVENTS).where(EVENTS.c.sequence == newest.ended_by)).one()
    if (last.kind, last.note) != (kind, note):
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The record's disclosure has ended already.",
        )
    return Ended(last.sequence, last.at)


def unknown_record() -> Refused:
    """Return what refuses a change of a record that was never published."""
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        "No record of that name was ever published here.",
    )
