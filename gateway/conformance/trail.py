"""What conformance has to tell of a record or an operator when it is traced (G7)."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Engine, select

from creditgate.v1 import audit_service_pb2 as audit_pb
from creditgate.v1 import conformance_service_pb2 as pb
from gateway.conformance.finding_messages import finding_message
from gateway.conformance.finding_tables import FINDINGS
from gateway.conformance.model import CONTESTED, OPEN, Finding
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.removals import Duty, RemovalDuties
from gateway.storage.engines import reading

_AT_ONCE: Final = 500
_F: Final = FINDINGS.c
_COLUMNS: Final = [FINDINGS.c[name] for name in Finding._fields]


class Told(NamedTuple):
    """One thing told, ``at`` in seconds UTC; ``numbers`` order what is of one second."""

    at: int
    numbers: tuple[int, int]
    what: pb.Finding | audit_pb.RemovalTrace


class ConformanceTrail:
    """Reads findings and acknowledged removals in order of time. Calls block."""

    def __init__(
        self,
        evidence: Engine,
        duties: RemovalDuties,
        policy: ConformancePolicy,
        now: Callable[[], int],
    ) -> None:
        self._evidence = evidence
        self._duties = duties
        self._policy = policy
        self._now = now

    def findings_of_record(self, record_id: str) -> Iterator[Told]:
        """Yield every finding of a record's copies, whoever holds them: as it was found, and
        again each time it was contested, decided about or closed, as it stood since."""
        query = select(*_COLUMNS).where(_F.record_id == record_id)
        with reading(self._evidence) as connection:
            found = [Finding(**row) for row in connection.execute(query).mappings()]
        told = [self._told(each, at, number) for each in found for number, at in _times(each)]
        yield from sorted(told, key=lambda each: each[:2])

    def findings_of_operator(self, operator_id: str, from_: int) -> Iterator[Told]:
        """Yield every finding against an operator since ``from_`` (seconds, UTC)."""
        after = f"{max(from_, 0):010x}"
        while True:
            # Ids begin with the instant they were made at.
            query = (
                select(*_COLUMNS)
                .where(_F.operator_id == operator_id, _F.finding_id > after)
                .order_by(_F.finding_id)
                .limit(_AT_ONCE)
            )
            with reading(self._evidence) as connection:
                found = [Finding(**row) for row in connection.execute(query).mappings()]
            yield from (self._told(each) for each in found)
            if len(found) < _AT_ONCE:
                return
            after = found[-1].finding_id

    def removals_of_record(self, record_id: str) -> Iterator[Told]:
        """Yield every removal of a record's copies that was acknowledged."""
        told = [
            _removal(duty, number)
            for number, duty in enumerate(self._duties.of_record(record_id))
            if duty.acknowledged_at is not None
        ]
        yield from sorted(told, key=lambda each: each[:2])

    def removals_of_operator(self, operator_id: str, from_: int, until: int) -> Iterator[Told]:
        """Yield what an operator acknowledged within [from_, until) (seconds, UTC)."""
        while True:
            duties = self._duties.acknowledged_by(operator_id, from_, until, _AT_ONCE)
            last = duties[-1].acknowledged_at if len(duties) == _AT_ONCE else None
            if last is None or last == duties[0].acknowledged_at:
                yield from (_removal(duty, 0) for duty in duties)
                return
            # The last second may not be whole: it is read again with what follows it.
            yield from (_removal(duty, 0) for duty in duties if duty.acknowledged_at != last)
            from_ = last

    def _told(self, finding: Finding, at: int | None = None, number: int = 0) -> Told:
        """Tell of a finding as it stood since ``at`` (seconds, UTC), None for now."""
        stood = finding if at is None else _as_of(finding, at)
        message = finding_message(stood, self._policy, self._now() if at is None else at)
        order = int(finding.finding_id.replace("-", ""), 16)
        return Told(finding.detected_at if at is None else at, (order, number), message)


def _times(finding: Finding) -> Iterator[tuple[int, int]]:
    """Yield when something became of a finding, each instant once, numbered in order."""
    times = (finding.detected_at, finding.contested_at, finding.decided_at, finding.closed_at)
    yield from enumerate(sorted({at for at in times if at}))


def _as_of(finding: Finding, at: int) -> Finding:
    """Return a finding as it stood since ``at`` (seconds, UTC)."""
    if finding.closed_at and finding.closed_at <= at:
        return finding
    stood = finding._replace(state=OPEN, closed_at=0)
    if finding.decided_at and finding.decided_at <= at:
        return stood
    stood = stood._replace(decided_at=0, decided_by="", decision_reason="")
    if finding.contested_at and finding.contested_at <= at:
        return stood._replace(state=CONTESTED)
    return stood._replace(contested_at=0, contest_statement="", evidence_digest=b"")


def _removal(duty: Duty, number: int) -> Told:
    assert duty.acknowledged_at is not None
    removal = pb.RemovalAcknowledgement(event_sequence=duty.event_sequence)
    if duty.removed_at is not None:
        removal.remove_time.CopyFrom(Timestamp(seconds=duty.removed_at))
    message = audit_pb.RemovalTrace(operator_id=duty.operator_id, removal=removal)
    return Told(duty.acknowledged_at, (duty.event_sequence, number), message)
