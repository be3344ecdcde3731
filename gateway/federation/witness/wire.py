"""What witnesses say to each other, as the contract has it."""

from collections.abc import Iterable
from typing import Final

from creditgate.refusal import Violation
from creditgate.transparency.merkle import HASH_BYTES
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.witness_service_pb2 import SplitViewEvidence
from gateway.federation.witness.gossip import MOST_SEEN, MOST_SPLITS
from gateway.federation.witness.rules import MOST_PROOF_NODES, Judgement
from gateway.federation.witness.witness import Answered, Shown
from sdk.histories import SplitView

MOST_SHOWN: Final = 64
"""Checkpoints of one exchange."""

_OUTCOMES: Final = {
    Judgement.COSIGN: pb.WITNESS_OUTCOME_COSIGNED,
    Judgement.STALE: pb.WITNESS_OUTCOME_STALE,
    Judgement.CONTRADICTS: pb.WITNESS_OUTCOME_CONTRADICTS,
}


def exchange_faults(request: pb.ExchangeCheckpointsRequest) -> list[Violation]:
    """Return what is wrong with the form of an exchange."""
    faults = [
        Violation(name, f"at most {most}")
        for name, count, most in (
            ("checkpoints", len(request.checkpoints), MOST_SHOWN),
            ("seen_checkpoints", len(request.seen_checkpoints), MOST_SEEN),
            ("split_views", len(request.split_views), MOST_SPLITS),
        )
        if count > most
    ]
    for index, shown in enumerate(request.checkpoints[:MOST_SHOWN]):
        proof = shown.consistency_proof
        if len(proof) > MOST_PROOF_NODES or any(len(node) != HASH_BYTES for node in proof):
            faults.append(
                Violation(
                    f"checkpoints[{index}].consistency_proof",
                    f"at most {MOST_PROOF_NODES} nodes of {HASH_BYTES} bytes",
                )
            )
    return faults


def shown_in(message: pb.CheckpointShown) -> Shown:
    """Return a checkpoint that is shown."""
    return Shown(message.checkpoint, message.old_tree_size, tuple(message.consistency_proof))


def shown_message(shown: Shown) -> pb.CheckpointShown:
    """Return the message that shows a checkpoint."""
    return pb.CheckpointShown(
        checkpoint=shown.note, old_tree_size=shown.old_size, consistency_proof=shown.proof
    )


def answered_message(answered: Answered) -> pb.CheckpointWitnessed:
    """Return what the witness did, as a message."""
    message = pb.CheckpointWitnessed(
        origin=answered.origin,
        outcome=_OUTCOMES[answered.judgement],
        cosignature=answered.cosignature,
        cosigned_tree_size=answered.size,
        contradicting_checkpoint=answered.held,
    )
    if answered.split is not None:
        message.split_view.CopyFrom(evidence_message(answered.split))
    return message


def evidence_message(split: SplitView) -> SplitViewEvidence:
    """Return the evidence of a split view as a message."""
    return SplitViewEvidence(
        first=split.first, second=split.second, root=split.root, proof=split.proof
    )


def evidence_in(messages: Iterable[SplitViewEvidence]) -> list[SplitView]:
    """Return the evidence in messages, none of it verified."""
    return [SplitView(each.first, each.second, each.root, tuple(each.proof)) for each in messages]
