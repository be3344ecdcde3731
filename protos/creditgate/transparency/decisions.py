"""Decisions verified offline: each in the decision log, by one pinned key, and the log grown. Pure.

Give it an answer of AuditService, the key of the decision log that was pinned, and the
checkpoint that was kept from before, if any. Whatever does not hold is a `ProofInvalid` that
tells what. What usage entries, disclosure events, changes of authority, findings and removals
in a trace say is the gateway's word: of them the log has commitments alone (docs/proofs.md),
and that a list leaves nothing out no answer proves.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from creditgate.transparency.merkle import (
    ProofInvalid,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.transparency.strict import strictly
from creditgate.v1.audit_service_pb2 import (
    AuditProof,
    DecisionEntry,
    ListDecisionsResponse,
    LoggedDecision,
    TraceConsentResponse,
    TraceOperatorResponse,
    TraceRecordResponse,
    TraceRequestResponse,
    TraceStep,
)

DECISIONS_PREFIX: Final = "decisions/"
"""Begins the names of entries of the decision log."""
CHANGES_PREFIX: Final = "consent-change-"
"""Begins, behind `DECISIONS_PREFIX`, the names of entries that are changes of consents."""

AuditAnswer = (
    ListDecisionsResponse
    | TraceRecordResponse
    | TraceConsentResponse
    | TraceOperatorResponse
    | TraceRequestResponse
)


class VerifiedDecisions(NamedTuple):
    """What an answer proves: ``entries`` are in the log whose head is ``checkpoint``.

    ``unlogged`` names decisions that the answer shows without proof, as a consent's trace may
    of what is newer than the checkpoint. ``grown_from`` is the checkpoint that the log was
    proved to have only grown from, None where none was given.
    """

    checkpoint: Checkpoint
    entries: tuple[DecisionEntry, ...]
    unlogged: tuple[str, ...]
    grown_from: Checkpoint | None


def verify_decision(decision: LoggedDecision, checkpoint: Checkpoint) -> DecisionEntry:
    """Return the entry of a decision that is in the log of ``checkpoint``, at the place it
    names. Raises ProofInvalid."""
    leaf = decision.entry.SerializeToString(deterministic=True)
    entry = strictly(DecisionEntry, leaf)
    path = list(decision.audit_path)
    verify_inclusion(entry.sequence, checkpoint.size, leaf_hash(leaf), path, checkpoint.root)
    return entry


def verify_head(proof: AuditProof, key: VerifierKey, known: Checkpoint | None = None) -> Checkpoint:
    """Return the head of the log that an answer is proved against.

    ``known`` is a checkpoint kept from before, whose size the answer was asked for with: the
    log must begin with all that it had then. Raises ProofInvalid.
    """
    checkpoint = open_checkpoint(proof.checkpoint, key)
    # Every log begins with the empty one.
    if known is not None and known.size:
        consistency = list(proof.consistency_proof)
        verify_consistency(known.size, checkpoint.size, known.root, checkpoint.root, consistency)
    return checkpoint


def verify_decisions(
    answer: AuditAnswer, key: VerifierKey, known: Checkpoint | None = None
) -> VerifiedDecisions:
    """Return what an answer of AuditService proves; see `verify_head` for ``known``.

    Raises ProofInvalid.
    """
    checkpoint = verify_head(answer.proof, key, known)
    entries: list[DecisionEntry] = []
    unlogged: list[str] = []
    for name, decision in _decisions_in(answer, checkpoint.size):
        if decision is None:
            unlogged.append(name)
            continue
        entry = verify_decision(decision, checkpoint)
        if entry.name != name:
            raise ProofInvalid("a step is proved by the entry of another")
        entries.append(entry)
    return VerifiedDecisions(checkpoint, tuple(entries), tuple(unlogged), known)


def _decisions_in(answer: AuditAnswer, size: int) -> Iterator[tuple[str, LoggedDecision | None]]:
    """Yield each decision that an answer shows by its name; None for one without proof.

    ``size`` is that of the log.
    """
    if isinstance(answer, ListDecisionsResponse):
        yield from ((each.entry.name, each) for each in answer.decisions)
        return
    # The only entry of a log has no path either.
    may_be_new = isinstance(answer, TraceConsentResponse) and size > 1
    for step in answer.steps:
        if step.HasField("decision"):
            _require_time(step, step.decision.entry)
            unlogged = may_be_new and not step.decision.audit_path
            yield step.decision.entry.name, None if unlogged else step.decision
        elif step.HasField("consent"):
            yield _change_of(step)


def _change_of(step: TraceStep) -> tuple[str, LoggedDecision | None]:
    """Return the entry of a consent's change. Raises ProofInvalid where it is of another."""
    event = step.consent
    name = f"{DECISIONS_PREFIX}{CHANGES_PREFIX}{event.sequence}"
    if not step.HasField("change_decision"):
        return name, None
    entry = step.change_decision.entry
    _require_time(step, entry)
    if (entry.consent, entry.consent_state, entry.decide_time) != (
        event.consent,
        event.state,
        event.event_time,
    ):
        raise ProofInvalid("a change of the consent is not what the log has")
    return name, step.change_decision


def _require_time(step: TraceStep, entry: DecisionEntry) -> None:
    if step.step_time != entry.decide_time:
        raise ProofInvalid("a step has another time than the log")
