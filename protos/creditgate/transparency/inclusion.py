"""That a record was disclosed: its event in the disclosure log. Pure.

It does not tell that the record is disclosed still; that is what a map's head tells.
"""

from creditgate.transparency.completeness import verify_entry
from creditgate.transparency.facts import event_commitment
from creditgate.transparency.members import protected_member, public_member
from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid
from creditgate.transparency.note import Checkpoint
from creditgate.transparency.strict import strictly
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry, RecordProof


def verify_record(record: DisclosedRecord, proof: RecordProof, checkpoint: Checkpoint) -> None:
    """Check that the event that fixed ``record`` is in the log of ``checkpoint``, and that the
    record is what it fixed. Raises ProofInvalid."""
    if proof.record != record.name:
        raise ProofInvalid("the proof is of another record")
    verify_entry(proof.event, checkpoint)
    entry = strictly(DisclosureLogEntry, proof.event.entry)
    if entry.WhichOneof("entry") != "event":
        raise ProofInvalid("the entry is of no event")
    event = entry.event
    member = (
        protected_member(record, proof.opening)
        if proof.HasField("opening")
        else public_member(record)
    )
    kind = (
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
        if record.revision == 1
        else DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
    )
    if event.event_sequence != record.event_sequence or event.kind != kind:
        raise ProofInvalid("the event is not the one that fixed the record")
    if len(proof.salt) != HASH_BYTES:
        raise ProofInvalid("the salt of an event is not of 32 bytes")
    opened = event_commitment(
        proof.salt, event.kind, record.revision, record.subject, record.item, member
    )
    if event.commitment != opened:
        raise ProofInvalid("the record is not what its event committed to")
