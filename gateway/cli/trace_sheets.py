"""Decisions and traces as tables, and how they are proved."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.refusal import reason_name
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import FindingKind, FindingState
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.cli import terms
from gateway.cli.failures import CommandFailed
from gateway.cli.output import Sheet, several, utc
from gateway.cli.proving import read_key

if TYPE_CHECKING:
    from creditgate.transparency.decisions import AuditAnswer
    from sdk.decisions import DecisionLog

Pinned = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="VKEY",
        help="Verify every decision that is shown, by this key of the decision log.",
    ),
]
Held = Annotated[
    Path | None,
    typer.Option(
        "--held",
        metavar="FILE",
        dir_okay=False,
        help="Checkpoint you keep: the log is proved to have only grown since, and its newer one"
        " is kept there. Needs --key.",
    ),
]


def decision_log(key: str, held: Path | None) -> "DecisionLog | None":
    """Return what verifies answers, None where nothing is to be. Raises CommandFailed."""
    if not key:
        if held is not None:
            raise CommandFailed("--held needs --key: what is not verified proves no growth.")
        return None
    from creditgate.transparency.merkle import ProofInvalid
    from sdk.decisions import DecisionLog

    verifier = read_key(key)
    try:
        return DecisionLog(verifier, held)
    except ProofInvalid as error:
        raise CommandFailed(f"--held: {error}.") from None


def proved(log: "DecisionLog", answer: "AuditAnswer") -> Sheet:
    """Return what an answer proves, and what it does not; the checkpoint is kept. Raises
    CommandFailed where it, or a part of it, does not verify."""
    from creditgate.transparency.merkle import ProofInvalid

    try:
        found = log.verified(answer)
    except ProofInvalid as error:
        raise CommandFailed(f"The answer does not verify: {error}.") from None
    if found.unlogged:
        raise CommandFailed(
            f"Not in the log yet, and so not proved: {several(found.unlogged)}. Ask again."
        )
    checkpoint, former = found.checkpoint, found.grown_from
    rows = (
        ("decisions", f"{len(found.entries)}, all in the log"),
        ("log", checkpoint.origin),
        ("checkpoint", f"{checkpoint.size} entries, root {checkpoint.root.hex()}"),
        ("only grown", "not checked" if former is None else f"since {former.size} entries"),
        ("other steps", f"{_unproved(answer)}, by the gateway's word"),
        ("nothing left out", "not proved by the answer; log check counts the ledger anew"),
    )
    return Sheet(
        "The decisions are proved",
        [row[0] for row in rows],
        [[row[1] for row in rows]],
        blocks=True,
    )


def _unproved(answer: "AuditAnswer") -> int:
    """Return how many steps an answer shows that no entry of the log proves."""
    if isinstance(answer, pb.ListDecisionsResponse):
        return 0
    return sum(
        not step.HasField("decision") and not step.HasField("change_decision")
        for step in answer.steps
    )


def decisions_sheet(decisions: Iterable[pb.LoggedDecision]) -> Sheet:
    """Return decisions, a row each."""
    return Sheet(
        "Decisions, oldest first",
        ("at", "decision", "outcome", "client", "operator", "consent", "records"),
        [
            (
                utc(entry.decide_time),
                entry.name,
                _outcome(entry),
                entry.client_id,
                entry.operator_id,
                entry.consent,
                str(entry.served_records),
            )
            for entry in (each.entry for each in decisions)
        ],
        frozenset({"records"}),
    )


def steps_sheet(steps: Iterable[pb.TraceStep]) -> Sheet:
    """Return the steps of a trace, a row each."""
    return Sheet(
        "Trace, oldest first",
        ("at", "what", "for", "record", "who"),
        [(utc(step.step_time), *_told(step)) for step in steps],
    )


def _told(step: pb.TraceStep) -> tuple[str, str, str, str]:
    match step.WhichOneof("step"):
        case "usage":
            usage = step.usage
            record = " ".join(filter(None, (usage.record, usage.home_region)))
            return _used(step), terms.show_purpose(usage.purpose), record, usage.client_id
        case "removal":
            return _gone(step.removal), "", "", step.removal.operator_id
        case "decision":
            entry = step.decision.entry
            return _outcome(entry), terms.show_purpose(entry.purpose), "", entry.client_id
        case "disclosure":
            kind = DisclosureEventKind.Name(step.disclosure.kind)
            return _word(kind, "DISCLOSURE_EVENT_KIND_"), "", step.disclosure.record, ""
        case "authority":
            change = step.authority
            return f"{change.kind} {change.id} changed", "", "", change.changed_by
        case "finding":
            return _found(step), "", step.finding.record, step.finding.operator_id
        case _:
            return terms.show_consent_state(step.consent.state), "", "", ""


def _used(step: pb.TraceStep) -> str:
    """Return that a record was used, how often it was sent again to retries, and whether it was
    credited."""
    told, again = "used", step.given_again
    if again.times:
        told = f"{told}; sent again {again.times}, last {utc(again.last_time)}"
    if step.HasField("credited"):
        told = f"{told}; credited {utc(step.credited.credit_time)}"
    return told


def _gone(removal: pb.RemovalTrace) -> str:
    """Return that copies are gone, and when by the operator's word: the step is when it said so."""
    if not removal.HasField("duty"):
        return "copies gone"
    duty = removal.duty
    gone = f"copies gone {utc(duty.remove_time)}, due {utc(duty.deadline)}"
    return f"{gone}; reported late" if duty.overdue else gone


def _found(step: pb.TraceStep) -> str:
    """Return what was found, or what became of it at the time of the step."""
    finding = step.finding
    kind = _word(FindingKind.Name(finding.kind), "FINDING_KIND_")
    state = _word(FindingState.Name(finding.state), "FINDING_STATE_")
    if finding.HasField("close_time") and step.step_time == finding.close_time:
        return f"{kind}: {state}"
    if finding.contest.HasField("decide_time") and step.step_time == finding.contest.decide_time:
        return f"{kind}: stands"
    if finding.HasField("contest") and step.step_time == finding.contest.contest_time:
        return f"{kind}: {state}"
    return kind


def _outcome(entry: pb.DecisionEntry) -> str:
    if entry.consent_state:
        return terms.show_consent_state(entry.consent_state)
    if entry.outcome == pb.DecisionOutcome.DECISION_OUTCOME_REFUSED:
        return f"refused: {reason_name(entry.reason)}"
    return "answered"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
