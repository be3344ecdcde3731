"""Decisions checked as who holds the decision log's key checks them."""

from creditgate.transparency.merkle import leaf_hash, verify_inclusion
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.v1 import audit_service_pb2 as pb
from gateway.storage.engines import reading
from gateway.transparency.identity import known_key
from gateway.transparency.tables import LogId
from tests.installation import Installation


def key_of_decisions(installation: Installation) -> VerifierKey:
    """Return the key of an installation's decision log."""
    with reading(installation.engines.evidence) as connection:
        key = known_key(connection, LogId.DECISIONS)
    assert key is not None
    return key


def checkpoint_of_decisions(installation: Installation, note: str) -> Checkpoint:
    """Return the checkpoint in a note, by the key of the installation's decision log."""
    return open_checkpoint(note, key_of_decisions(installation))


def require_logged(decision: pb.LoggedDecision, log: Checkpoint) -> None:
    """Check that a decision is in the log, where it says."""
    entry = decision.entry
    leaf = leaf_hash(entry.SerializeToString(deterministic=True))
    verify_inclusion(entry.sequence, log.size, leaf, list(decision.audit_path), log.root)
