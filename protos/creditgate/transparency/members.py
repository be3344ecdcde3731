"""Records as members of the sets that the map and the log commit to. Pure.

What an answer shows of a record is hashed anew, by the opening where the record's item is
protected; how, `facts` tells.
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.transparency.content import members_of
from creditgate.transparency.facts import (
    NO_END,
    Copy,
    content_commitment,
    field_digest,
    particulars_digest,
    protected_digest,
    public_digest,
)
from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import FieldSalt, ProtectedOpening, UnservedRecord

_RECORDS: Final = "records/"
_NO_OPENING: Final = "a record of a protected item has no opening"


def seconds_of(time: Timestamp) -> int:
    """Return an instant of whole seconds, UTC. Raises ProofInvalid for any other."""
    if time.nanos or not 0 <= time.seconds < NO_END:
        raise ProofInvalid("a time is not of whole seconds before the end of time")
    return time.seconds


def period_of(record: DisclosedRecord | UnservedRecord) -> tuple[int, int]:
    """Return the period [from, until) in which a record is disclosed; `facts.NO_END` where
    it has no end. Raises ProofInvalid."""
    if not record.HasField("disclosed_from"):
        raise ProofInvalid("a record does not say since when it is disclosed")
    until = seconds_of(record.disclosed_until) if record.HasField("disclosed_until") else NO_END
    return seconds_of(record.disclosed_from), until


def public_member(record: DisclosedRecord) -> bytes:
    """Return the digest of a served record as a public one. Raises ProofInvalid."""
    if record.served_fields:
        raise ProofInvalid("a record of a public item is cut to some fields")
    return public_digest(_copy(record), _particulars(record))


def protected_member(record: DisclosedRecord, opening: ProtectedOpening) -> bytes:
    """Return the digest of a served record as a protected one. Raises ProofInvalid."""
    copy = _copy(record)
    if record.served_fields:
        if opening.content_salt:
            raise ProofInvalid("the opening of a record cut to some fields is of the whole")
        commitment = opening.content_commitment
        shown = _shown(record, opening.field_salts)
    else:
        if opening.content_commitment or opening.field_salts:
            raise ProofInvalid("the opening of a whole record is of one cut to some fields")
        _require_hash(opening.content_salt, _NO_OPENING)
        commitment = content_commitment(opening.content_salt, copy.content_digest)
        shown = []
    return _protected(copy, _particulars(record), commitment, shown, opening.hidden_fields)


def unserved_member(record: UnservedRecord, *, protected: bool) -> bytes:
    """Return the digest of a member that is told without its content. Raises ProofInvalid."""
    _require_hash(record.particulars_digest, "a member's digest is not of 32 bytes")
    record_id, period = record_id_of(record.record), period_of(record)
    if not protected:
        if record.HasField("opening"):
            raise ProofInvalid("a member of a public set has an opening")
        _require_hash(record.content_digest, "a member's digest is not of 32 bytes")
        copy = Copy(record_id, record.content_digest, *period)
        return public_digest(copy, record.particulars_digest)
    opening = record.opening
    if record.content_digest or opening.content_salt or opening.field_salts:
        raise ProofInvalid("a protected member shows more than it may")
    return _protected(
        Copy(record_id, b"", *period),
        record.particulars_digest,
        opening.content_commitment,
        [],
        opening.hidden_fields,
    )


def record_id_of(name: str) -> str:
    """Return the id in a record's resource name. Raises ProofInvalid."""
    if not name.startswith(_RECORDS):
        raise ProofInvalid("the name of a record does not begin with records/")
    return name.removeprefix(_RECORDS)


def _copy(record: DisclosedRecord) -> Copy:
    digest = sha256(record.content).digest()
    if record.content_digest != digest:
        raise ProofInvalid("the digest of a record is not that of its content")
    return Copy(record_id_of(record.name), digest, *period_of(record))


def _particulars(record: DisclosedRecord) -> bytes:
    if min(record.revision, record.event_sequence) < 1 or record.severity < 0:
        raise ProofInvalid("a record's revision, event or severity is no number of a record")
    return particulars_digest(
        record.revision, record.event_sequence, record.source, record.region, record.severity
    )


def _shown(record: DisclosedRecord, salts: Sequence[FieldSalt]) -> list[bytes]:
    """Return the digests of the fields of cut content."""
    try:
        members = members_of(record.content.decode())
    except ValueError as error:
        raise ProofInvalid(str(error)) from None
    names = [member.name for member in members]
    if names != [salt.name for salt in salts] or not set(names) <= set(record.served_fields):
        raise ProofInvalid("the fields opened are not those of the content")
    for salt in salts:
        _require_hash(salt.salt, "the salt of a field is not of 32 bytes")
    return [
        field_digest(salt.salt, member.name, member.value.encode())
        for salt, member in zip(salts, members, strict=True)
    ]


def _protected(
    copy: Copy, particulars: bytes, commitment: bytes, shown: list[bytes], hidden: Sequence[bytes]
) -> bytes:
    _require_hash(commitment, _NO_OPENING)
    for digest in hidden:
        _require_hash(digest, "the digest of a field is not of 32 bytes")
    if any(left >= right for left, right in pairwise(hidden)):
        raise ProofInvalid("the digests of fields are not in order")
    return protected_digest(copy, particulars, commitment, [*shown, *hidden])


def _require_hash(value: bytes, otherwise: str) -> None:
    if len(value) != HASH_BYTES:
        raise ProofInvalid(otherwise)
