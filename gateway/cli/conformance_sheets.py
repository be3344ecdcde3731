"""Findings, attestations and standing as people read them on the command line."""

from collections.abc import Iterable
from typing import Final

from creditgate.v1 import conformance_service_pb2 as pb
from gateway.cli.conformance_terms import show_finding_kind, show_finding_state, show_stage
from gateway.cli.output import Sheet, utc
from gateway.cli.terms import show_severity

_ATTESTED: Final = (
    "attestation",
    "operator",
    "when",
    "copies",
    "right as of event",
    "compared with event",
    "newly found",
    "rectified",
    "standing",
    "to be asked for",
    "certificate",
)


def findings_sheet(findings: Iterable[pb.Finding]) -> Sheet:
    """Return findings, one a row."""
    return Sheet(
        "Findings",
        ("finding", "record or consent", "kind", "state", "stage", "severity", "found", "deadline"),
        [
            (
                finding.name,
                finding.record or finding.consent,
                show_finding_kind(finding.kind),
                show_finding_state(finding.state),
                show_stage(finding.stage),
                show_severity(finding.severity),
                utc(finding.detect_time),
                utc(finding.deadline),
            )
            for finding in findings
        ],
    )


def finding_sheet(finding: pb.Finding) -> Sheet:
    """Return one finding, whole, as a block."""
    contest = finding.contest
    rows = (
        ("finding", finding.name),
        ("operator", finding.operator_id),
        ("record", finding.record),
        ("region", finding.region),
        ("consent", finding.consent),
        ("kind", show_finding_kind(finding.kind)),
        ("state", show_finding_state(finding.state)),
        ("stage", show_stage(finding.stage)),
        ("severity", show_severity(finding.severity)),
        ("content held (SHA-256)", finding.held_digest.hex()),
        ("made void by event", str(finding.event_sequence or "")),
        ("found in", finding.attestation),
        ("found", utc(finding.detect_time)),
        ("deadline", utc(finding.deadline)),
        ("waits to be asked for since", utc(finding.wait_time)),
        ("closed", utc(finding.close_time)),
        ("contested", utc(contest.contest_time)),
        ("statement", contest.statement),
        ("evidence (SHA-256)", contest.evidence_digest.hex()),
        ("decided", _decision(contest)),
    )
    return Sheet("Finding", [name for name, _ in rows], [[cell for _, cell in rows]], blocks=True)


def attestations_sheet(
    attestations: Iterable[pb.Attestation], title: str = "Attestations"
) -> Sheet:
    """Return attestations, one a row."""
    return Sheet(
        title,
        _ATTESTED,
        [
            (
                attestation.name,
                attestation.operator_id,
                utc(attestation.attest_time),
                str(attestation.copies),
                str(attestation.disclosure_sequence),
                str(attestation.compared_sequence),
                str(attestation.opened_findings),
                str(attestation.rectified_findings),
                str(attestation.standing_findings),
                str(attestation.waiting_findings),
                _certificate(attestation),
            )
            for attestation in attestations
        ],
        frozenset(_ATTESTED[3:10]),
    )


def _certificate(attestation: pb.Attestation) -> str:
    if attestation.certificate:
        return "in force"
    return "given, not in force" if attestation.certified else "none"


def standing_sheet(conformance: pb.GetConformanceResponse) -> Sheet:
    """Return how an operator stands, as a block."""
    last = conformance.last_attestation
    rows = (
        ("operator", conformance.operator_id),
        ("stage", show_stage(conformance.stage)),
        (
            "findings that stand",
            ", ".join(
                f"{count.standing} {show_finding_kind(count.kind)}"
                for count in conformance.standing
            )
            or "none",
        ),
        (
            "removals owed",
            f"{conformance.outstanding_removals}, of them {conformance.overdue_removals} overdue",
        ),
        ("copies it should hold", str(conformance.entitled_copies)),
        ("last attestation", f"{last.name}, {utc(last.attest_time)}" if last.name else "none"),
        ("next one due", utc(conformance.next_attestation_due)),
        (
            "challenged",
            f"{conformance.confirmed_copies} of {conformance.challenged_copies} copies shown right,"
            f" {conformance.refreshed_copies} more only after they were served again",
        ),
        ("certificate", "yes" if conformance.certificate else "no"),
        ("stages", "\n".join(map(_change, conformance.stage_changes))),
    )
    return Sheet(
        "Conformance", [name for name, _ in rows], [[cell for _, cell in rows]], blocks=True
    )


def challenges_sheet(challenges: Iterable[pb.Challenge], title: str = "Challenges") -> Sheet:
    """Return challenges, one a row."""
    return Sheet(
        title,
        ("challenge", "record", "deadline"),
        [(each.name, each.record, utc(each.deadline)) for each in challenges],
    )


def _decision(contest: pb.Contest) -> str:
    if not contest.HasField("decide_time"):
        return ""
    found = "right" if contest.upheld else "not right"
    return f"{utc(contest.decide_time)}  {found}: {contest.decision_reason}"


def _change(change: pb.StageChange) -> str:
    return (
        f"{utc(change.change_time)}  {show_stage(change.stage)},"
        f" {change.standing_findings} finding(s) standing"
    )
