"""Members of sets: what the map and the log hold of each revision, and how it is opened.

The digests are those of `creditgate.transparency.facts`; what they are salted with is of the
revision, so a member is the same in the map, in the log and in every proof.
"""

from typing import NamedTuple, Protocol

from creditgate.transparency.content import members_of
from creditgate.transparency.facts import (
    NO_END,
    Copied,
    content_commitment,
    field_digest,
    particulars_digest,
    protected_digest,
    public_digest,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import FieldSalt, ProtectedOpening, UnservedRecord
from gateway.disclose.frame import unframe
from gateway.transparency.salts import Salts

_RECORDS = "records/"


class Revision(Copied, Protocol):
    """A revision as disclosed: an event's (`gateway.transparency.events`), or a record's
    (`stated`). Times are seconds UTC, ``disclosed_until`` is `facts.NO_END` without end."""

    @property
    def revision_sequence(self) -> int:
        """The event that fixed it."""
        ...

    @property
    def revision(self) -> int:
        """Its number, from 1."""
        ...

    @property
    def source(self) -> str:
        """Source department."""
        ...

    @property
    def region(self) -> str:
        """Region code."""
        ...

    @property
    def severity(self) -> int:
        """A Severity's number."""
        ...

    @property
    def content(self) -> bytes:
        """The content, whole."""
        ...


class Stated(NamedTuple):
    """A `Revision` as its record states it."""

    revision_sequence: int
    record_id: str
    revision: int
    source: str
    region: str
    severity: int
    disclosed_from: int
    disclosed_until: int
    content: bytes
    content_digest: bytes


def stated(record: DisclosedRecord) -> Stated:
    """Return what a record, whole, states of its revision."""
    has_end = record.HasField("disclosed_until")
    return Stated(
        record.event_sequence,
        record.name.removeprefix(_RECORDS),
        record.revision,
        record.source,
        record.region,
        record.severity,
        record.disclosed_from.seconds,
        record.disclosed_until.seconds if has_end else NO_END,
        record.content,
        record.content_digest,
    )


class Members:
    """Digests and openings of revisions under one installation's salts; any thread."""

    def __init__(self, salts: Salts) -> None:
        self._salts = salts

    def digest(self, revision: Revision, protected: bool) -> bytes:
        """Return the revision's digest as a member of a set, of a protected item or not."""
        particulars = _particulars(revision)
        if not protected:
            return public_digest(revision, particulars)
        sequence = revision.revision_sequence
        return protected_digest(
            revision,
            particulars,
            self._commitment(sequence, revision.content_digest),
            self._fields(sequence, revision.content).values(),
        )

    def opening(self, sequence: int, served: DisclosedRecord, whole: bytes) -> ProtectedOpening:
        """Return what opens a record of a protected item as it is served.

        ``sequence`` is of its revision, ``whole`` the frame stored. The opening of a record
        cut to some fields tells nothing of the others.
        """
        stored = unframe(whole)
        fields = self._fields(sequence, stored.content)
        if not served.served_fields:
            return ProtectedOpening(
                content_salt=self._salts.content(sequence), hidden_fields=sorted(fields.values())
            )
        shown = [name for name in fields if name in set(served.served_fields)]
        return ProtectedOpening(
            content_commitment=self._commitment(sequence, stored.content_digest),
            field_salts=[
                FieldSalt(name=name, salt=self._salts.field(sequence, name)) for name in shown
            ],
            hidden_fields=sorted(digest for name, digest in fields.items() if name not in shown),
        )

    def unserved(self, whole: bytes, protected: bool) -> UnservedRecord:
        """Return a member that is named, not served; ``whole`` is the frame stored."""
        record = unframe(whole)
        revision = stated(record)
        member = UnservedRecord(
            record=record.name,
            item=record.item,
            disclosed_from=record.disclosed_from,
            particulars_digest=_particulars(revision),
        )
        if record.HasField("disclosed_until"):
            member.disclosed_until.CopyFrom(record.disclosed_until)
        if not protected:
            member.content_digest = revision.content_digest
            return member
        sequence = revision.revision_sequence
        member.opening.content_commitment = self._commitment(sequence, revision.content_digest)
        member.opening.hidden_fields.extend(
            sorted(self._fields(sequence, revision.content).values())
        )
        return member

    def _commitment(self, sequence: int, content_digest: bytes) -> bytes:
        return content_commitment(self._salts.content(sequence), content_digest)

    def _fields(self, sequence: int, content: bytes) -> dict[str, bytes]:
        """Return the digest of each field, in order of their names."""
        return {
            member.name: field_digest(
                self._salts.field(sequence, member.name), member.name, member.value.encode()
            )
            for member in members_of(content.decode())
        }


def _particulars(revision: Revision) -> bytes:
    return particulars_digest(
        revision.revision,
        revision.revision_sequence,
        revision.source,
        revision.region,
        revision.severity,
    )
