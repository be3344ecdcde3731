"""Decisions are verified offline, against the one pinned key of their log."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.transparency.decisions import verify_decision, verify_decisions
from creditgate.transparency.merkle import ProofInvalid, leaf_hash, node_hash, root_of
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.consent_service_pb2 import ConsentEvent, ConsentState
from sdk.decisions import DecisionLog
from tests.transparency.keys import key_of

KEY = key_of("gateway.invalid/log/decisions")
AT = Timestamp(seconds=1_800_000_000)


def entry(sequence: int) -> pb.DecisionEntry:
    """Return an entry: of the last places, a change of a consent."""
    if sequence == 3:
        return pb.DecisionEntry(
            name="decisions/consent-change-8",
            sequence=sequence,
            decide_time=AT,
            consent="consents/c",
            consent_state=ConsentState.CONSENT_STATE_GRANTED,
        )
    return pb.DecisionEntry(
        name=f"decisions/d-{sequence}",
        sequence=sequence,
        decide_time=AT,
        outcome=pb.DECISION_OUTCOME_ALLOWED,
        usage_digest=sha256(bytes([sequence])).digest(),
    )


LEAVES = [leaf_hash(entry(i).SerializeToString(deterministic=True)) for i in range(4)]


def head(leaves: Sequence[bytes]) -> str:
    """Return the signed checkpoint of a log of these leaves."""
    return signed(checkpoint_body(Checkpoint(KEY.verifier.name, len(leaves), root_of(leaves))), KEY)


def logged(index: int) -> pb.LoggedDecision:
    """Return an entry of the log of four with its path."""
    pairs = [node_hash(*LEAVES[:2]), node_hash(*LEAVES[2:])]
    path = [LEAVES[index ^ 1], pairs[1 - index // 2]]
    return pb.LoggedDecision(entry=entry(index), audit_path=path)


def grown() -> pb.AuditProof:
    """Return the log of four, proved to extend that of two."""
    return pb.AuditProof(checkpoint=head(LEAVES), consistency_proof=[node_hash(*LEAVES[2:])])


def listed() -> pb.ListDecisionsResponse:
    """Return an answer that shows two decisions."""
    return pb.ListDecisionsResponse(decisions=[logged(0), logged(2)], proof=grown())


def traced() -> pb.TraceConsentResponse:
    """Return the trace of a consent: a change, and an answer."""
    change = ConsentEvent(
        sequence=8,
        consent="consents/c",
        state=ConsentState.CONSENT_STATE_GRANTED,
        event_time=AT,
    )
    return pb.TraceConsentResponse(
        steps=[
            pb.TraceStep(step_time=AT, consent=change, change_decision=logged(3)),
            pb.TraceStep(step_time=AT, decision=logged(1)),
        ],
        proof=grown(),
    )


def known(size: int) -> Checkpoint:
    """Return the checkpoint of the log as it was."""
    return Checkpoint(KEY.verifier.name, size, root_of(LEAVES[:size]))


def test_decisions_of_the_log_are_verified_and_its_growth() -> None:
    found = verify_decisions(listed(), KEY.verifier, known(2))
    assert [each.name for each in found.entries] == ["decisions/d-0", "decisions/d-2"]
    assert (found.checkpoint.size, found.grown_from, found.unlogged) == (4, known(2), ())
    assert verify_decisions(listed(), KEY.verifier).grown_from is None
    trace = verify_decisions(traced(), KEY.verifier, known(2))
    assert [each.sequence for each in trace.entries] == [3, 1]


def _other_state(answer: pb.TraceConsentResponse) -> None:
    answer.steps[0].consent.state = ConsentState.CONSENT_STATE_REVOKED


def _other_consent(answer: pb.TraceConsentResponse) -> None:
    answer.steps[0].consent.consent = "consents/d"


def _other_event(answer: pb.TraceConsentResponse) -> None:
    answer.steps[0].consent.sequence = 9


def _other_time(answer: pb.TraceConsentResponse) -> None:
    answer.steps[1].step_time.seconds += 1


def _other_answer(answer: pb.TraceConsentResponse) -> None:
    answer.steps[1].decision.entry.usage_digest = bytes(32)


def _other_path(answer: pb.TraceConsentResponse) -> None:
    answer.steps[0].change_decision.audit_path[0] = bytes(32)


def _other_growth(answer: pb.TraceConsentResponse) -> None:
    answer.proof.consistency_proof[0] = bytes(32)


def _shorter(answer: pb.TraceConsentResponse) -> None:
    answer.proof.checkpoint = head(LEAVES[:1])


@pytest.mark.parametrize(
    "change",
    [
        _other_state,
        _other_consent,
        _other_event,
        _other_time,
        _other_answer,
        _other_path,
        _other_growth,
        _shorter,
    ],
)
def test_a_trace_that_was_changed_does_not_verify(
    change: Callable[[pb.TraceConsentResponse], None],
) -> None:
    answer = traced()
    change(answer)
    with pytest.raises(ProofInvalid):
        verify_decisions(answer, KEY.verifier, known(2))


def test_what_a_consents_trace_shows_without_proof_is_told_and_elsewhere_refused() -> None:
    answer = traced()
    del answer.steps[1].decision.audit_path[:]
    answer.steps[0].ClearField("change_decision")
    found = verify_decisions(answer, KEY.verifier)
    assert found.unlogged == ("decisions/consent-change-8", "decisions/d-1")
    with pytest.raises(ProofInvalid):
        verify_decisions(
            pb.TraceOperatorResponse(steps=answer.steps[1:], proof=grown()), KEY.verifier
        )
    bare = listed()
    del bare.decisions[0].audit_path[:]
    with pytest.raises(ProofInvalid):
        verify_decisions(bare, KEY.verifier)


def test_the_proof_of_another_log_or_of_unknown_fields_is_none() -> None:
    with pytest.raises(ProofInvalid):
        verify_decisions(listed(), key_of("gateway.invalid/log/other").verifier)
    # Field 127, which no reader of today would show.
    unknown = pb.DecisionEntry.FromString(b"\xfa\x07\x01x")
    leaf = leaf_hash(unknown.SerializeToString(deterministic=True))
    with pytest.raises(ProofInvalid, match="newer"):
        verify_decision(pb.LoggedDecision(entry=unknown), Checkpoint(KEY.verifier.name, 1, leaf))


def test_a_log_that_was_begun_anew_can_prove_no_growth(tmp_path: Path) -> None:
    held = tmp_path / "decisions.checkpoint"
    log = DecisionLog(KEY.verifier, held)
    assert log.known_tree_size == 0
    log.verified(listed())
    later = DecisionLog(KEY.verifier, held)
    assert later.known_tree_size == 4
    other = pb.ListDecisionsResponse(
        proof=pb.AuditProof(
            checkpoint=head([*LEAVES[:3], bytes(32), bytes(32)]), consistency_proof=[bytes(32)] * 3
        )
    )
    with pytest.raises(ProofInvalid):
        later.verified(other)
    assert DecisionLog(KEY.verifier, held).known_tree_size == 4
    held.write_text("nothing")
    with pytest.raises(ProofInvalid):
        DecisionLog(KEY.verifier, held)
