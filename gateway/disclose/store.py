"""The disclosure store: the only writer of events and revisions.

Each method is one transaction. Writers queue behind one lock, so that event
sequences are dense and in order of commit: whoever has read up to a sequence has
missed nothing before it. One that waits too long for another raises
DBAPIError, and so does on PostgreSQL one that hung for too long (`gateway.storage.bounded`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from consent.connections import take_turn
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.disclosure_service_pb2 import PublishRecordsResponse, RejectedRecord
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.catalogue.admission import Admitted
from gateway.catalogue.rejection import Rejection, RejectionReason
from gateway.disclose.frame import unframe
from gateway.disclose.model import (
    Batch,
    BatchOutcome,
    Correction,
    Ended,
    Line,
    StoredRecord,
    rejected,
)
from gateway.disclose.newest import (
    is_same,
    newest_of,
    require_current,
    require_within_period,
    same_end,
    unknown_record,
    until_of,
)
from gateway.disclose.rows import PUBLISHED, EventRow, RowWriter, event_row, revision_row
from gateway.disclose.tables import BATCHES, EVENTS, LINES, REVISIONS
from gateway.storage.bounded import bound, bounded
from gateway.storage.engines import reading

DISCLOSURE_LOCK: Final = 0x63726463
# Held to the commit by whoever ends a revision, and shared by whoever serves some, so
# that serving waits for endings but not for publications of thousands of records.
ENDING_LOCK: Final = 0x63726465
# A batch of thousands of records is worked on between two statements, and waited for by the next:
# as long as SQLite has its writers wait.
_IDLE_SECONDS: Final = 5
_WAIT_SECONDS: Final = 10
_ENDED: Final = RejectionReason.RECORD_ENDED
_DIFFERS: Final = RejectionReason.RECORD_DIFFERS


Permit = Callable[[], None]
"""Asked once a writer's turn has come, however long it waited: raises where it may not."""


def _anyone() -> None:
    """Let whoever holds the store write it."""


class DisclosureStore:
    """Publishes, corrects and ends disclosures on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = RowWriter(engine.dialect)

    def head(self) -> int:
        """Return the sequence of the newest event, 0 before the first."""
        with reading(self._engine) as connection:
            return _head(connection)

    def record(self, record_id: str) -> StoredRecord:
        """Return the newest revision of a record, live or not.

        Raises Refused RESOURCE_NOT_FOUND.
        """
        with reading(self._engine) as connection:
            newest = newest_of(connection, [record_id]).get(record_id)
            first_start = connection.execute(
                select(func.min(REVISIONS.c.disclosed_from)).where(
                    REVISIONS.c.record_id == record_id
                )
            ).scalar()
        if newest is None or first_start is None:
            raise unknown_record()
        return StoredRecord(newest.record, newest.live, first_start)

    def regions(self, record_ids: Sequence[str]) -> dict[str, str]:
        """Return the region of the newest revision of each of ``record_ids`` that there is."""
        with reading(self._engine) as connection:
            return {
                record_id: newest.record.region
                for record_id, newest in newest_of(connection, record_ids).items()
            }

    def lines(self) -> dict[int, Line]:
        """Return every revenue line by number."""
        with reading(self._engine) as connection:
            return {row.line_no: Line(*row[1:]) for row in connection.execute(select(LINES))}

    def number_lines(self, lines: Iterable[Line]) -> dict[Line, int]:
        """Return every revenue line's number, once each of ``lines`` has one."""
        with bounded(self._engine, _IDLE_SECONDS, _WAIT_SECONDS) as connection:
            _lock(connection)
            return _number_lines(connection, set(lines))

    def earlier_outcome(self, publisher: str, batch_id: str, digest: bytes) -> BatchOutcome | None:
        """Return what became of a batch committed before, None for a new one.

        Raises Refused REQUEST_ID_REUSED when it then held other records.
        """
        with reading(self._engine) as connection:
            return _earlier(connection, publisher, batch_id, digest)

    def commit_batch(self, batch: Batch, at: int, *, permit: Permit = _anyone) -> BatchOutcome:
        """Disclose the admitted records of a batch that are not disclosed yet.

        A batch id committed before answers with what became of it then. Raises
        Refused REQUEST_ID_REUSED when it then held other records.
        """
        with bounded(self._engine, _IDLE_SECONDS, _WAIT_SECONDS) as connection:
            _lock(connection)
            permit()
            earlier = _earlier(connection, batch.publisher, batch.batch_id, batch.digest)
            if earlier is not None:
                return earlier
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
        revisions = [
            revision_row(
                admitted, sequence=sequence, revision=1, line_no=numbers[_line_of(admitted)]
            )
            for sequence, admitted in enumerate(fresh, _head(connection) + 1)
        ]
        events = [
            event_row(
                revision, admitted.digest, kind=PUBLISHED, at=at, publisher=publisher, note=""
            )
            for admitted, revision in zip(fresh, revisions, strict=True)
        ]
        self._writer.write(connection, events, revisions)

    def correct(
        self, correction: Correction, publisher: str, at: int, *, permit: Permit = _anyone
    ) -> DisclosedRecord:
        """Replace a live record by a new revision; the old one is void at once.

        A repeated correction answers as the first. Raises Refused
        RESOURCE_NOT_FOUND, STATE_CONFLICT (also for a record whose period is over: none is
        disclosed again by a correction), ETAG_MISMATCH, and INVALID_REQUEST for one that changes
        nothing: it would make copies void that are right.
        """
        admitted = correction.record
        with bounded(self._engine, _IDLE_SECONDS, _WAIT_SECONDS) as connection:
            _lock(connection)
            permit()
            newest = newest_of(connection, [admitted.record_id]).get(admitted.record_id)
            if newest is None:
                raise unknown_record()
            if (
                newest.live
                and newest.record.revision == correction.expected_revision + 1
                and is_same(newest.record, admitted)
            ):
                return newest.record
            require_current(newest, correction.expected_revision)
            require_within_period(newest.record, at)
            if is_same(newest.record, admitted):
                raise invalid(Violation("content", "the record is disclosed so: change something"))
            sequence = _head(connection) + 1
            line_no = _number_lines(connection, {_line_of(admitted)})[_line_of(admitted)]
            revision = revision_row(
                admitted, sequence=sequence, revision=newest.record.revision + 1, line_no=line_no
            )
            event = event_row(
                revision,
                admitted.digest,
                kind=DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED,
                at=at,
                publisher=publisher,
                note=correction.reason,
            )
            _void(connection, newest.sequence, sequence)
            self._writer.write(connection, [event], [revision])
        return unframe(revision.frame)

    def end(
        self,
        record_id: str,
        expected_revision: int,
        kind: DisclosureEventKind.ValueType,
        note: str,
        publisher: str,
        at: int,
        *,
        permit: Permit = _anyone,
    ) -> Ended:
        """End a record's disclosure by repair or withdrawal, at once.

        A repeated call with the same kind and note answers as the first. Raises
        Refused RESOURCE_NOT_FOUND, STATE_CONFLICT, ETAG_MISMATCH.
        """
        with bounded(self._engine, _IDLE_SECONDS, _WAIT_SECONDS) as connection:
            _lock(connection)
            permit()
            newest = newest_of(connection, [record_id]).get(record_id)
            if newest is None:
                raise unknown_record()
            if not newest.live:
                return same_end(connection, newest, kind, note)
            require_current(newest, expected_revision)
            sequence = _head(connection) + 1
            record = newest.record
            _void(connection, newest.sequence, sequence)
            event = EventRow(
                sequence,
                kind,
                record_id,
                record.revision,
                record.subject,
                record.content_digest,
                record.disclosed_from.seconds,
                until_of(record),
                at,
                publisher,
                note,
            )
            self._writer.write(connection, [event])
        return Ended(sequence, at)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({DISCLOSURE_LOCK})"))


def keep_use_out(connection: Connection) -> None:
    """Wait until no use is being metered, and let none be until the transaction ends; on SQLite
    who writes has the ledger to itself already."""
    take_turn(connection, ENDING_LOCK)


def _head(connection: Connection) -> int:
    return connection.execute(select(func.max(EVENTS.c.sequence))).scalar() or 0


def _sift(connection: Connection, batch: Batch) -> tuple[list[Admitted], int, list[RejectedRecord]]:
    known = newest_of(connection, [admitted.record_id for _, admitted in batch.admitted])
    within: dict[str, Admitted] = {}
    unchanged = 0
    refused: list[RejectedRecord] = []
    for index, admitted in batch.admitted:
        twin = within.get(admitted.record_id)
        newest = known.get(admitted.record_id)
        if twin is None and newest is None:
            within[admitted.record_id] = admitted
        elif twin == admitted or (newest and newest.live and is_same(newest.record, admitted)):
            unchanged += 1
        else:
            ended = newest is not None and not newest.live
            rejection = Rejection(_ENDED if ended else _DIFFERS, "record_id")
            refused.append(rejected(batch.batch_id, index, admitted.record_id, rejection))
    return list(within.values()), unchanged, refused


def _number_lines(connection: Connection, lines: set[Line]) -> dict[Line, int]:
    numbers = {Line(*row[1:]): row.line_no for row in connection.execute(select(LINES))}
    new = sorted(lines - numbers.keys())
    for number, line in enumerate(new, len(numbers) + 1):
        connection.execute(insert(LINES).values(line_no=number, **line._asdict()))
        numbers[line] = number
    return numbers


def _line_of(admitted: Admitted) -> Line:
    return Line(admitted.item, admitted.source, admitted.region)


def _void(connection: Connection, sequence: int, ended_by: int) -> None:
    bound(connection)
    keep_use_out(connection)
    connection.execute(
        update(REVISIONS).where(REVISIONS.c.sequence == sequence).values(ended_by=ended_by)
    )


def _earlier(
    connection: Connection, publisher: str, batch_id: str, digest: bytes
) -> BatchOutcome | None:
    row = connection.execute(
        select(BATCHES).where(BATCHES.c.publisher == publisher, BATCHES.c.batch_id == batch_id)
    ).one_or_none()
    if row is None:
        return None
    if bytes(row.digest) != digest:
        raise Refused(
            RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
            "batch_id was committed before with other records; give new batches new ids.",
        )
    stored = PublishRecordsResponse.FromString(bytes(row.rejections))
    return BatchOutcome(True, row.published, row.unchanged, tuple(stored.rejections))
