"""Findings that come of removals, and the lists of all. Opened once, closed once."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.finding_rows import (
    close_findings,
    finding_of,
    listed_findings,
    new_finding,
    write_findings,
)
from gateway.conformance.finding_tables import EVIDENCE, FINDINGS, OF_REMOVALS, STANDS
from gateway.conformance.model import MISSING, OPEN, REMOVAL_OVERDUE, Difference, Finding
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.standings import touch
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading

_F = FINDINGS.c
# What is served under one consent is of records of any grade.
_UNGRADED: Final = Severity.SEVERITY_UNSPECIFIED


class Findings:
    """The findings of one store. Calls block."""

    def __init__(self, engine: Engine, policy: ConformancePolicy) -> None:
        self._engine = engine
        self._policy = policy

    def open_removal_overdue(
        self,
        operator_id: str,
        record_id: str,
        event_sequence: int,
        severity: int,
        now: int,
        region: str = "",
    ) -> bool:
        """Find that the removal an event demands was not acknowledged by its deadline.

        It is found once for its event, whatever became of that finding since: False where it
        was. ``severity`` is a Severity, ``now`` in seconds, UTC; ``region`` the other region whose
        event it is, "" for this one's.
        """
        with bounded(self._engine) as connection:
            touch(connection, operator_id, now)
            if _of_event(connection, operator_id, (region, record_id), event_sequence):
                return False
            overdue = Difference(
                REMOVAL_OVERDUE, record_id, severity, b"", event_sequence, 0, region=region
            )
            finding = new_finding(self._policy, operator_id, overdue, "", now)
            write_findings(connection, [finding])
        return True

    def removal_acknowledged(
        self, operator_id: str, event_sequence: int, now: int, region: str = ""
    ) -> int:
        """Rectify what was found because the removal of an event, of ``region`` as in
        `open_removal_overdue`, was overdue; return how many findings that were."""
        of_event = (
            _F.operator_id == operator_id,
            OF_REMOVALS,
            _F.event_sequence == event_sequence,
            _F.region == region,
            STANDS,
        )
        return self._rectify(operator_id, of_event, now)

    def _rectify(self, operator_id: str, which: Sequence[ColumnElement[bool]], now: int) -> int:
        query = select(_F.finding_id).where(*which)
        with reading(self._engine) as connection:
            if connection.execute(query.limit(1)).first() is None:
                return 0
        with bounded(self._engine) as connection:
            touch(connection, operator_id, now)
            standing = connection.execute(query).scalars().all()
            close_findings(connection, standing, now)
        return len(standing)

    def open_consent_overdue(self, operator_id: str, consent: str, now: int) -> bool:
        """Find that the removal of what was served under an ended consent, "consents/{id}", was
        not acknowledged by its deadline; False where that stands already. ``now`` in seconds,
        UTC."""
        with bounded(self._engine) as connection:
            touch(connection, operator_id, now)
            query = select(_F.finding_id).where(*_of_consent(operator_id, consent))
            if connection.execute(query).first() is not None:
                return False
            overdue = Difference(REMOVAL_OVERDUE, consent, _UNGRADED, b"", 0, 0)
            write_findings(connection, [new_finding(self._policy, operator_id, overdue, "", now)])
        return True

    def consent_acknowledged(self, operator_id: str, consent: str, now: int) -> int:
        """Rectify what was found because the removal for an ended consent was overdue; return
        how many findings that were."""
        return self._rectify(operator_id, _of_consent(operator_id, consent), now)

    def get(self, finding_id: str) -> Finding | None:
        """Return a finding; None where there is none of that id."""
        with reading(self._engine) as connection:
            return finding_of(connection, finding_id)

    def evidence(self, finding_id: str) -> bytes:
        """Return what a contest handed in, b"" where it was nothing."""
        query = select(EVIDENCE.c.evidence).where(EVIDENCE.c.finding_id == finding_id)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar() or b""

    def listed(
        self, *, operator_id: str, attestation_id: str, state: int, before: str, limit: int
    ) -> list[Finding]:
        """Return findings against an operator, newest first, as `listed_findings`."""
        with reading(self._engine) as connection:
            return listed_findings(
                connection,
                operator_id=operator_id,
                attestation_id=attestation_id,
                state=state,
                before=before,
                limit=limit,
            )

    def counts(self, operator_id: str) -> Sequence[tuple[int, int]]:
        """Return (FindingKind, how many stand) of an operator, what is contested or for
        information left out."""
        query = (
            select(_F.kind, func.count())
            .where(
                _F.operator_id == operator_id,
                STANDS,
                _F.state == OPEN,
                _F.kind != MISSING,
            )
            .group_by(_F.kind)
            .order_by(_F.kind)
        )
        with reading(self._engine) as connection:
            return [(kind, count) for kind, count in connection.execute(query)]

    def any_stand(self, operator_id: str) -> bool:
        """Tell whether anything stands against an operator, contested or not; what is for
        information is not looked at."""
        query = (
            select(_F.finding_id)
            .where(_F.operator_id == operator_id, STANDS, _F.kind != MISSING)
            .limit(1)
        )
        with reading(self._engine) as connection:
            return connection.execute(query).first() is not None


def _of_consent(operator_id: str, consent: str) -> Sequence[ColumnElement[bool]]:
    return (_F.operator_id == operator_id, OF_REMOVALS, _F.record_id == consent, STANDS)


def _of_event(
    connection: Connection, operator_id: str, record: tuple[str, str], event_sequence: int
) -> bool:
    region, record_id = record
    query = (
        select(_F.finding_id)
        .where(
            _F.operator_id == operator_id,
            OF_REMOVALS,
            _F.event_sequence == event_sequence,
            _F.record_id == record_id,
            _F.region == region,
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None
