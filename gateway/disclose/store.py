"""The disclosure store: the only writer of events and revisions.

Each method is one transaction. Writers queue behind one lock, so that event
sequences are dense and in order of commit: whoever has read up to a sequence has
missed nothing before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from creditgate.refusal import Refused
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.disclosure_service_pb2 import PublishRecordsResponse, RejectedRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.catalogue.admission import Admitted
from gateway.disclose.frame import frame, unframe
from gateway.disclose.model import Batch, BatchOutcome, Correction, Ended, Line, StoredRecord
from gateway.disclose.tables import BATCHES, EVENTS, LINES, NO_END, REVISIONS
from gateway.storage.engines import reading

DISCLOSURE_LOCK: Final = 0x63726463
_IDS_A_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class _Newest:
    sequence: int
    ended_by: int
    record: DisclosedRecord

    @property
    def live(self) -> bool:
        return self.ended_by == 0


class DisclosureStore:
    """Publishes, corrects and ends disclosures on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def head(self) -> int:
        """Return the sequence of the newest event, 0 before the first."""
        with reading(self._engine) as connection:
            return _head(connection)

    def record(self, record_id: str) -> StoredRecord:
        """Return the newest revision of a record, live or not.

        Raises Refused RESOURCE_NOT_FOUND.
        """
        with reading(self._engine) as connection:
            newest = _newest(connection, [record_id]).get(record_id)
        if newest is None:
            raise _unknown_record()
        return StoredRecord(newest.record, newest.live)

    def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        with reading(self._engine) as connection:
            return {row.line_no: Line(*row[1:]) for row in connection.execute(select(LINES))}

    def commit_batch(self, batch: Batch, at: int) -> BatchOutcome:
        """Disclose the admitted records of a batch that are not disclosed yet.

        A batch id committed before answers with what became of it then. Raises
        Refused REQUEST_ID_REUSED when it then held other records.
        """
        with self._engine.begin() as connection:
            _lock(connection)
            earlier = connection.execute(
                select(BATCHES).where(
                    BATCHES.c.publisher == batch.publisher, BATCHES.c.batch_id == batch.batch_id
                )
            ).one_or_none()
            if earlier is not None:
                return _earlier_outcome(earlier.digest, batch.digest, earlier)
            fresh, unchanged, refused = _sift(connection, batch)
            self._publish(connection, fresh, batch.publisher, at)
            rejections = tuple(sorted((*batch.rejected, *refused), key=lambda r: r.index))
            connection.execute(
                insert(BATCHES).values(
                    publisher=batch.publisher,
                    batch_id=batch.batch_id,
                    digest=batch.digest,
                    at=at,
                    published=len(fresh),
                    unchanged=unchanged,
                    rejections=PublishRecordsResponse(rejections=rejections).SerializeToString(),
                )
            )
        return BatchOutcome(False, len(fresh), unchanged, rejections)

    def _publish(
        self, connection: Connection, fresh: Sequence[Admitted], publisher: str, at: int
    ) -> None:
        numbers = _number_lines(connection, {_line_of(admitted) for admitted in fresh})
        sequence = _head(connection)
        events: list[dict[str, Any]] = []
        revisions: list[dict[str, Any]] = []
        for sequence, admitted in enumerate(fresh, sequence + 1):
            event, revision = _rows(
                admitted, sequence, 1, numbers[_line_of(admitted)], publisher, at
            )
            events.append(event)
            revisions.append(revision)
        if events:
            connection.execute(insert(EVENTS), events)
            connection.execute(insert(REVISIONS), revisions)

    def correct(self, correction: Correction, publisher: str, at: int) -> DisclosedRecord:
        """Replace a live record by a new revision; the old one is void at once.

        A repeated correction answers as the first. Raises Refused
        RESOURCE_NOT_FOUND, STATE_CONFLICT, ETAG_MISMATCH.
        """
        admitted = correction.record
        with self._engine.begin() as connection:
            _lock(connection)
            newest = _newest(connection, [admitted.record_id]).get(admitted.record_id)
            if newest is None:
                raise _unknown_record()
            if (
                newest.live
                and newest.record.revision == correction.expected_revision + 1
                and _same(newest.record, admitted)
            ):
                return newest.record
            _require_current(newest, correction.expected_revision)
            sequence = _head(connection) + 1
            line_no = _number_lines(connection, {_line_of(admitted)})[_line_of(admitted)]
            event, revision = _rows(
                admitted, sequence, newest.record.revision + 1, line_no, publisher, at
            )
            event |= {
                "kind": DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED,
                "note": correction.reason,
            }
            _void(connection, newest.sequence, sequence)
            connection.execute(insert(EVENTS).values(event))
            connection.execute(insert(REVISIONS).values(revision))
        return unframe(revision["frame"])

    def end(
        self,
        record_id: str,
        expected_revision: int,
        kind: DisclosureEventKind.ValueType,
        note: str,
        publisher: str,
        at: int,
    ) -> Ended:
        """End a record's disclosure by repair or withdrawal, at once.

        A repeated call with the same kind and note answers as the first. Raises
        Refused RESOURCE_NOT_FOUND, STATE_CONFLICT, ETAG_MISMATCH.
        """
        with self._engine.begin() as connection:
            _lock(connection)
            newest = _newest(connection, [record_id]).get(record_id)
            if newest is None:
                raise _unknown_record()
            if not newest.live:
                return _same_end(connection, newest, kind, note)
            _require_current(newest, expected_revision)
            sequence = _head(connection) + 1
            record = newest.record
            _void(connection, newest.sequence, sequence)
            connection.execute(
                insert(EVENTS).values(
                    sequence=sequence,
                    kind=kind,
                    record_id=record_id,
                    revision=record.revision,
                    subject=record.subject,
                    digest=record.content_digest,
                    disclosed_from=record.disclosed_from.seconds,
                    disclosed_until=_until(record),
                    at=at,
                    published_by=publisher,
                    note=note,
                )
            )
        return Ended(sequence, at)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({DISCLOSURE_LOCK})"))


def _head(connection: Connection) -> int:
    return connection.execute(select(func.max(EVENTS.c.sequence))).scalar() or 0


def _newest(connection: Connection, record_ids: Sequence[str]) -> dict[str, _Newest]:
    found: dict[str, _Newest] = {}
    for start in range(0, len(record_ids), _IDS_A_QUERY):
        rows = connection.execute(
            select(
                REVISIONS.c.record_id, REVISIONS.c.sequence, REVISIONS.c.ended_by, REVISIONS.c.frame
            )
            .where(REVISIONS.c.record_id.in_(record_ids[start : start + _IDS_A_QUERY]))
            .order_by(REVISIONS.c.record_id, REVISIONS.c.revision)
        )
        for record_id, sequence, ended_by, stored in rows:
            found[record_id] = _Newest(sequence, ended_by, unframe(stored))
    return found


def _sift(connection: Connection, batch: Batch) -> tuple[list[Admitted], int, list[RejectedRecord]]:
    known = _newest(connection, [admitted.record_id for _, admitted in batch.admitted])
    within: dict[str, Admitted] = {}
    unchanged = 0
    refused: list[RejectedRecord] = []
    for index, admitted in batch.admitted:
        twin = within.get(admitted.record_id)
        newest = known.get(admitted.record_id)
        if twin is None and newest is None:
            within[admitted.record_id] = admitted
        elif twin == admitted or (newest and newest.live and _same(newest.record, admitted)):
            unchanged += 1
        else:
            ended = newest is not None and not newest.live
            refused.append(_rejection(batch.batch_id, index, admitted.record_id, ended))
    return list(within.values()), unchanged, refused


def _rejection(batch_id: str, index: int, record_id: str, ended: bool) -> RejectedRecord:
    return RejectedRecord(
        batch_id=batch_id,
        index=index,
        record_id=record_id,
        field="record_id",
        reason="RECORD_ENDED" if ended else "RECORD_DIFFERS",
        description=(
            "This record was repaired or withdrawn; disclose a new finding under a new id."
            if ended
            else "This id is disclosed with other content or period; use CorrectRecord."
        ),
    )


def _number_lines(connection: Connection, lines: set[Line]) -> dict[Line, int]:
    numbers = {Line(*row[1:]): row.line_no for row in connection.execute(select(LINES))}
    new = sorted(lines - numbers.keys())
    for number, line in enumerate(new, len(numbers) + 1):
        connection.execute(insert(LINES).values(line_no=number, **line._asdict()))
        numbers[line] = number
    return numbers


def _line_of(admitted: Admitted) -> Line:
    return Line(admitted.item, admitted.source, admitted.region)


def _rows(
    admitted: Admitted, sequence: int, revision: int, line_no: int, publisher: str, at: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    until = NO_END if admitted.disclosed_until is None else admitted.disclosed_until
    record = DisclosedRecord(
        name=f"records/{admitted.record_id}",
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
    if admitted.disclosed_until is not None:
        record.disclosed_until.seconds = admitted.disclosed_until
    shared = {
        "sequence": sequence,
        "record_id": admitted.record_id,
        "revision": revision,
        "subject": admitted.subject,
        "disclosed_from": admitted.disclosed_from,
        "disclosed_until": until,
    }
    event = shared | {
        "kind": DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED,
        "digest": admitted.digest,
        "at": at,
        "published_by": publisher,
        "note": "",
    }
    return event, shared | {"line_no": line_no, "ended_by": 0, "frame": frame(record)}


def _until(record: DisclosedRecord) -> int:
    return record.disclosed_until.seconds if record.HasField("disclosed_until") else NO_END


def _same(record: DisclosedRecord, admitted: Admitted) -> bool:
    until = NO_END if admitted.disclosed_until is None else admitted.disclosed_until
    return (
        record.content_digest == admitted.digest
        and record.subject == admitted.subject
        and record.item == admitted.item
        and record.source == admitted.source
        and record.region == admitted.region
        and record.severity == admitted.severity
        and record.disclosed_from.seconds == admitted.disclosed_from
        and _until(record) == until
    )


def _void(connection: Connection, sequence: int, ended_by: int) -> None:
    connection.execute(
        update(REVISIONS).where(REVISIONS.c.sequence == sequence).values(ended_by=ended_by)
    )


def _require_current(newest: _Newest, expected_revision: int) -> None:
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


def _same_end(
    connection: Connection, newest: _Newest, kind: DisclosureEventKind.ValueType, note: str
) -> Ended:
    last = connection.execute(select(EVENTS).where(EVENTS.c.sequence == newest.ended_by)).one()
    if (last.kind, last.note) != (kind, note):
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The record's disclosure has ended already.",
        )
    return Ended(last.sequence, last.at)


def _earlier_outcome(earlier_digest: bytes, digest: bytes, row: Any) -> BatchOutcome:
    if bytes(earlier_digest) != digest:
        raise Refused(
            RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
            "batch_id was committed before with other records; give new batches new ids.",
        )
    stored = PublishRecordsResponse.FromString(bytes(row.rejections))
    return BatchOutcome(True, row.published, row.unchanged, tuple(stored.rejections))


def _unknown_record() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        "No record of that name was ever published here.",
    )
