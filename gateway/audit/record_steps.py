"""What became of one record: its disclosure, and every time it was served."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection, Engine, Row, Select, select

from consent.tables import SUBJECT_USE, SUBJECT_USES
from creditgate.refusal import Refused
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import DisclosureEvent
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.audit.decision_steps import DecisionSteps
from gateway.audit.proofs import DecisionProofs
from gateway.audit.steps import Kind, Place, Source, Step
from gateway.consents.followed import come_to
from gateway.disclose.tables import EVENTS, LINES, NO_END, REVISIONS
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading

_AT_ONCE: Final = 200
_Row = Row[*tuple[Any, ...]]


class Holders(Protocol):
    """Tells who was served revisions (`gateway.conformance.holdings`)."""

    def holders(self, sequences: Collection[int]) -> Mapping[int, Collection[str]]:
        """Return the operators each revision was served to."""
        ...


class TracedRecord(NamedTuple):
    """A record that was published here: its item, and its revisions by their sequences."""

    record_id: str
    subject: str
    item: str
    revisions: frozenset[int]


class RecordSteps:
    """Reads what became of records. Calls block.

    ``is_public`` tells whether an item is open to all: of others neither digest nor period
    is told, whose content they would let be guessed.
    """

    def __init__(
        self,
        records: Engine,
        decisions: DecisionSteps,
        proofs: DecisionProofs,
        holders: Holders,
        is_public: Callable[[str], bool],
    ) -> None:
        self._records = records
        self._decisions = decisions
        self._proofs = proofs
        self._holders = holders
        self._is_public = is_public

    def record(self, record_id: str) -> TracedRecord | None:
        """Return a record, None where none of that id was ever published."""
        query = (
            select(REVISIONS.c.sequence, REVISIONS.c.subject, LINES.c.item)
            .join(LINES, LINES.c.line_no == REVISIONS.c.line_no)
            .where(REVISIONS.c.record_id == record_id)
        )
        with reading(self._records) as connection:
            rows = connection.execute(query).all()
        if not rows:
            return None
        revisions = frozenset(row.sequence for row in rows)
        return TracedRecord(record_id, rows[0].subject, rows[0].item, revisions)

    def disclosed(self, record: TracedRecord) -> Source:
        """Return the source of the record's disclosure events."""

        def source(after: Place, until: int) -> Iterator[Step]:
            # By its revisions, whose record ids are indexed: an end has the last one's.
            for row in self._events(record):
                place = Place(row.at, Kind.DISCLOSURE, row.sequence)
                if after < place and row.at < until:
                    yield Step(place, pb.TraceStep(disclosure=self._event(row, record.item)))

        return source

    def served(self, record: TracedRecord, from_: int, until: int) -> Source:
        """Return the source of every decision that served the record within [from_, until)
        (seconds, UTC), each followed by the record as it was served.

        Raises Refused TEMPORARILY_UNAVAILABLE where some are not in the log yet: nobody who
        received it is left out.
        """
        with reading(self._records) as connection:
            answers = self._answers(connection, record, from_, until)
        return self.of_answers(answers, record.record_id)

    def of_answers(self, answers: Sequence[_Row], record_id: str, home_region: str = "") -> Source:
        """Return the source of the decisions behind ``answers``, rows of the ledger that served or
        charge a record, each followed by the record; ``home_region`` is the other region that
        disclosed it, "" for this one. Raises as `served`."""
        indexes = self._proofs.indexes_of([answer.decision_id for answer in answers])
        if any(answer.decision_id not in indexes for answer in answers):
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The decision log is behind the ledger; try again.",
                retry_after=1,
            )

        def source(after: Place, _: int) -> Iterator[Step]:
            steps: list[Step] = []
            for answer in answers:
                place = Place(answer.served_at, Kind.DECISION, indexes[answer.decision_id])
                steps.append(Step(place, place.major))
                entries = self._decisions.entries(answer.operator_id, answer.sequence)
                steps += (
                    Step(place._replace(minor=number), pb.TraceStep(usage=entry))
                    for number, entry in enumerate(entries, 1)
                    if entry.record == f"records/{record_id}" and entry.home_region == home_region
                )
            steps = [step for step in steps if step.place > after]
            yield from sorted(steps, key=lambda step: step.place)

        return source

    def _events(self, record: TracedRecord) -> list[_Row]:
        query = select(REVISIONS.c.sequence, REVISIONS.c.ended_by).where(
            REVISIONS.c.record_id == record.record_id
        )
        with reading(self._records) as connection:
            sequences = {number for row in connection.execute(query) for number in row if number}
            found = connection.execute(
                select(EVENTS).where(EVENTS.c.sequence.in_(sequences)).order_by(EVENTS.c.sequence)
            )
            return list(found)

    def _event(self, row: _Row, item: str) -> DisclosureEvent:
        message = DisclosureEvent(
            event_sequence=row.sequence,
            kind=DisclosureEventKind.ValueType(row.kind),
            record=f"records/{row.record_id}",
            revision=row.revision,
            item=item,
            event_time=Timestamp(seconds=row.at),
        )
        if self._is_public(item):
            message.content_digest = bytes(row.digest)
            message.disclosed_from.seconds = row.disclosed_from
            if row.disclosed_until != NO_END:
                message.disclosed_until.seconds = row.disclosed_until
        return message

    def _answers(
        self, connection: Connection, record: TracedRecord, from_: int, until: int
    ) -> list[_Row]:
        """Return the answers that held the record: by the index of uses, and from where that
        has come to in the ledger of each holder."""
        wanted = select(
            USAGE.c.sequence,
            USAGE.c.operator_id,
            USAGE.c.decision_id,
            USAGE.c.served_at,
            USAGE.c.entries,
        ).where(
            USAGE.c.served_at >= from_,
            USAGE.c.served_at < until,
            USAGE.c.entry_count > 0,
            USAGE.c.kind == ANSWER,
        )
        # In this order: what the index takes up meanwhile is found twice, not never.
        holders = {
            operator_id
            for operators in self._holders.holders(record.revisions).values()
            for operator_id in operators
        }
        found: dict[int, _Row] = {}
        for operator_id in sorted(holders):
            behind = come_to(connection, SUBJECT_USES + operator_id)
            recent = wanted.where(USAGE.c.operator_id == operator_id)
            found |= _holding(connection, recent, record.revisions, behind)
        indexed = wanted.join(SUBJECT_USE, SUBJECT_USE.c.usage_sequence == USAGE.c.sequence)
        found |= _holding(
            connection, indexed.where(SUBJECT_USE.c.subject == record.subject), record.revisions, 0
        )
        return list(found.values())


def _holding(
    connection: Connection,
    wanted: Select[*tuple[Any, ...]],
    revisions: frozenset[int],
    behind: int,
) -> dict[int, _Row]:
    found: dict[int, _Row] = {}
    while True:
        rows = connection.execute(
            wanted.where(USAGE.c.sequence > behind).order_by(USAGE.c.sequence).limit(_AT_ONCE)
        ).all()
        for row in rows:
            if not revisions.isdisjoint(unpack_entries(row.entries)):
                found[row.sequence] = row
        if len(rows) < _AT_ONCE:
            return found
        behind = rows[-1].sequence
