"""Attestations, findings, stages and challenges as proto messages."""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import EnforcementStage, FindingKind, FindingState
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.model import (
    DISMISSED,
    MISSING,
    NONE,
    OPEN,
    Attestation,
    Challenge,
    Finding,
    StageChange,
)
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.stages import Against, stage_of
from gateway.federation.asking.event_places import sequence_in


def attestation_message(attestation: Attestation, *, in_force: bool = True) -> pb.Attestation:
    """Return an attestation as its message, without its certificate where this is not in
    force any more."""
    return pb.Attestation(
        name=attestation_name(attestation.attestation_id),
        operator_id=attestation.operator_id,
        copies=attestation.copies,
        disclosure_sequence=attestation.disclosure_sequence,
        opened_findings=attestation.opened,
        rectified_findings=attestation.rectified,
        standing_findings=attestation.standing,
        waiting_findings=attestation.waiting,
        certificate=attestation.certificate if in_force else "",
        certified=bool(attestation.certificate),
        compared_sequence=attestation.compared,
        attest_time=Timestamp(seconds=attestation.at),
    )


def finding_message(
    finding: Finding, policy: ConformancePolicy, now: int, evidence: bytes = b""
) -> pb.Finding:
    """Return a finding as its message, with the stage it entails at ``now`` (seconds, UTC)."""
    message = pb.Finding(
        name=f"findings/{finding.finding_id}",
        operator_id=finding.operator_id,
        record=f"records/{finding.record_id}" if finding.record_id and not finding.consent else "",
        consent=finding.consent,
        region=finding.region,
        kind=FindingKind.ValueType(finding.kind),
        state=FindingState.ValueType(finding.state),
        stage=_stage(finding, policy, now),
        severity=Severity.ValueType(finding.severity),
        held_digest=finding.held_digest,
        event_sequence=sequence_in(finding.event_sequence),
        attestation=attestation_name(finding.attestation_id) if finding.attestation_id else "",
        detect_time=Timestamp(seconds=finding.detected_at),
        deadline=None if finding.kind == MISSING else Timestamp(seconds=finding.deadline),
        close_time=_time(finding.closed_at),
        wait_time=_time(finding.waits_since),
    )
    if finding.contested_at or finding.decided_at:
        message.contest.CopyFrom(
            pb.Contest(
                statement=finding.contest_statement,
                evidence_digest=finding.evidence_digest,
                contest_time=_time(finding.contested_at),
                decide_time=_time(finding.decided_at),
                upheld=finding.state == DISMISSED and finding.contested_at > 0,
                decision_reason=finding.decision_reason,
                evidence=evidence,
            )
        )
    return message


def stage_change_message(change: StageChange) -> pb.StageChange:
    """Return a change of an operator's stage as its message."""
    return pb.StageChange(
        stage=EnforcementStage.ValueType(change.stage),
        change_time=Timestamp(seconds=change.at),
        standing_findings=change.standing,
    )


def challenge_message(challenge: Challenge) -> pb.Challenge:
    """Return a challenge as its message."""
    return pb.Challenge(
        name=f"challenges/{challenge.challenge_id}",
        record=f"records/{challenge.record_id}",
        deadline=Timestamp(seconds=challenge.deadline),
    )


def attestation_name(attestation_id: str) -> str:
    """Return the resource name of an attestation."""
    return f"attestations/{attestation_id}"


def _stage(finding: Finding, policy: ConformancePolicy, now: int) -> EnforcementStage.ValueType:
    if finding.state != OPEN or finding.waits_since:
        return NONE
    against = Against(finding.kind, finding.counted_from, finding.deadline, finding.pardoned)
    return stage_of(policy, against, now)


def _time(seconds: int) -> Timestamp | None:
    return Timestamp(seconds=seconds) if seconds else None
