"""Contests: an operator speaks against a finding, an administrator decides."""

from hashlib import sha256

from sqlalchemy import Connection, Engine, insert, update

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.contest_limits import require_room
from gateway.conformance.finding_rows import finding_of
from gateway.conformance.finding_tables import EVIDENCE, FINDINGS
from gateway.conformance.model import CONTESTED, DISMISSED, MISSING, OPEN, Finding
from gateway.conformance.standings import touch
from gateway.storage.bounded import bounded
from gateway.storage.writes import wrote

_F = FINDINGS.c


class Contests:
    """The contests of one store. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def contest(
        self, operator_id: str, finding_id: str, statement: str, evidence: bytes, now: int
    ) -> Finding:
        """Write that an operator contests a finding since ``now`` (seconds, UTC).

        Raises Refused RESOURCE_NOT_FOUND for another operator's, as for one that is not
        there; STATE_CONFLICT where it does not stand, is for information or was contested
        before; and as `require_room`.
        """
        with bounded(self._engine) as connection:
            finding = finding_of(connection, finding_id)
            if finding is None or finding.operator_id != operator_id:
                raise unknown_finding()
            touch(connection, operator_id, now)
            finding = _again(connection, finding_id)
            if finding.state != OPEN or finding.contested_at:
                raise _conflict("It does not stand, or was contested before.")
            if finding.kind == MISSING:
                raise _conflict("It is for information and entails nothing.")
            require_room(connection, operator_id, len(evidence), now)
            digest = sha256(evidence).digest() if evidence else b""
            # While it is contested it waits for that alone.
            resumed = finding.resumed(now)
            connection.execute(
                update(FINDINGS)
                .where(_F.finding_id == finding_id)
                .values(
                    state=CONTESTED,
                    contest_statement=statement,
                    evidence_digest=digest,
                    contested_at=now,
                    counted_from=resumed.counted_from,
                    deadline=resumed.deadline,
                    waits_since=0,
                )
            )
            wrote(connection, FINDINGS, [(finding_id,)])
            if evidence:
                connection.execute(
                    insert(EVIDENCE).values(
                        finding_id=finding_id,
                        operator_id=operator_id,
                        at=now,
                        bytes=len(evidence),
                        evidence=evidence,
                    )
                )
                wrote(connection, EVIDENCE, [(finding_id,)])
            return _again(connection, finding_id)

    def decide(
        self, finding_id: str, *, dismiss: bool, reason: str, decided_by: str, now: int
    ) -> Finding:
        """Write what was decided about a finding at ``now`` (seconds, UTC).

        Dismissed, it falls. Otherwise it stands again, its time put off by as long as it was
        contested. Raises Refused RESOURCE_NOT_FOUND; STATE_CONFLICT where there is nothing
        to decide.
        """
        with bounded(self._engine) as connection:
            finding = finding_of(connection, finding_id)
            if finding is None:
                raise unknown_finding()
            touch(connection, finding.operator_id, now)
            finding = _again(connection, finding_id)
            if finding.closed_at or finding.kind == MISSING:
                raise _conflict("It does not stand; there is nothing to decide.")
            if finding.state == OPEN and not dismiss:
                raise _conflict("It is not contested and stands; it can only be dismissed.")
            decision = {"decided_at": now, "decided_by": decided_by, "decision_reason": reason}
            if dismiss:
                outcome = {"state": DISMISSED, "closed_at": now}
            else:
                waited = now - finding.contested_at
                outcome = {
                    "state": OPEN,
                    "counted_from": finding.counted_from + waited,
                    "deadline": finding.deadline + waited,
                }
            connection.execute(
                update(FINDINGS).where(_F.finding_id == finding_id).values(**decision, **outcome)
            )
            wrote(connection, FINDINGS, [(finding_id,)])
            return _again(connection, finding_id)


def unknown_finding() -> Refused:
    """Return the refusal for a finding that is not there, or not the caller's."""
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        "There is no such finding; ListFindings lists them.",
    )


def _again(connection: Connection, finding_id: str) -> Finding:
    """Return a finding as it is now that its operator is locked."""
    finding = finding_of(connection, finding_id)
    assert finding is not None, "findings are never deleted"
    return finding


def _conflict(message: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message)
