"""A disclosure in memory that proves itself: written for tests, from docs/proofs.md alone.

It keeps everything and works out each tree anew, so that it shares no algorithm with the
gateway; the hashes of single facts are those of `creditgate.transparency.facts`.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from creditgate.transparency import facts
from creditgate.transparency.answers import answer_leaf, request_digest, signed_text
from creditgate.transparency.content import members_of, object_of
from creditgate.transparency.note import Checkpoint, VerifierKey, checkpoint_body, signed
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1 import disclosure_proof_pb2 as proof_pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.disclosure_service_pb2 import GetSubjectProofResponse
from creditgate.v1.vocabulary_pb2 import Severity

ORIGIN: Final = "gateway.example/disclosure"
_SECRET: Final = sha256(b"salts of tests").digest()
_EMPTY: Final = bytes(32)

Answer = pb.GetSubjectRecordsResponse | pb.GetRecordResponse | pb.BatchGetSubjectRecordsResponse


class Key:
    """A log's key, the same in every run."""

    def __init__(self, seed: bytes = b"a log of tests", origin: str = ORIGIN) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(sha256(seed).digest())
        self.verifier = VerifierKey(origin, self._private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Return the Ed25519 signature of ``text``."""
        return self._private.sign(text)


@dataclass
class Kept:
    """A revision, whole, and which event ended it, 0 for none."""

    record: DisclosedRecord
    protected: bool
    ended_by: int = 0

    @property
    def period(self) -> tuple[int, int]:
        """Its period, seconds UTC."""
        until = self.record.disclosed_until.seconds or facts.NO_END
        return self.record.disclosed_from.seconds, until


@dataclass
class Disclosure:
    """Everything disclosed, its log and its map."""

    key: Key = field(default_factory=Key)
    revisions: list[Kept] = field(default_factory=list[Kept])
    entries: list[bytes] = field(default_factory=list[bytes])
    events: dict[int, int] = field(default_factory=dict[int, int])
    map_time: int = 0
    second_leaves: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    """Leaves of the tree of protected items that a dishonest gateway put in besides, by key."""

    def publish(
        self,
        record_id: str,
        subject: str,
        item: str,
        content: str,
        period: tuple[int, int | None],
        *,
        protected: bool = False,
        region: str = "000000",
        severity: Severity.ValueType = Severity.SEVERITY_GENERAL,
        corrects: bool = False,
    ) -> DisclosedRecord:
        """Disclose a record, or correct the one of that id."""
        name = f"records/{record_id}"
        revision, sequence = 1, len(self.events) + 1
        for kept in self.revisions:
            if corrects and kept.record.name == name and not kept.ended_by:
                kept.ended_by = sequence
                revision = kept.record.revision + 1
        record = DisclosedRecord(
            name=name,
            revision=revision,
            subject=subject,
            item=item,
            source="Invented Bureau",
            region=region,
            severity=severity,
            content=content.encode(),
            content_digest=sha256(content.encode()).digest(),
            event_sequence=sequence,
        )
        record.disclosed_from.seconds = period[0]
        if period[1] is not None:
            record.disclosed_until.seconds = period[1]
        kept = Kept(record, protected)
        self.revisions.append(kept)
        kind = (
            DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
            if corrects
            else DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED
        )
        self._log_event(kind, kept)
        return record

    def put_second_leaf(self, proof: proof_pb.ProtectedSetProof, record: DisclosedRecord) -> None:
        """Put in, from the next head on, a second leaf of the record's subject and item with
        this record alone, as ``proof`` then opens it."""
        proof.key, proof.salt = _salt("second", record.name), _salt("second salt", record.name)
        self.second_leaves[proof.key] = facts.protected_value(
            proof.salt, record.subject, _set_digest(record.item, [self._kept(record)])
        )
        del proof.openings[:]
        proof.openings.append(self.opening(record))

    def repair(self, record_id: str) -> None:
        """End a record's disclosure."""
        for kept in self.revisions:
            if kept.record.name == f"records/{record_id}" and not kept.ended_by:
                kept.ended_by = len(self.events) + 1
                self._log_event(DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED, kept)

    def sign(self, at: int) -> None:
        """Log the head of the map as it stands at ``at`` (seconds UTC)."""
        self.map_time = at
        tree = self.protected_tree()
        head = proof_pb.MapHead(
            event_sequence=len(self.events),
            public_root=root(self._public()),
            protected_commitment=facts.protected_commitment(
                tree.salt, tree.root, tree.holds_until.seconds
            ),
            protected_items_digest=facts.protected_items_digest(self.protected_items()),
        )
        head.map_time.seconds = at
        head.holds_until.seconds = self._holds_until(protected=False)
        entry = proof_pb.DisclosureLogEntry(map_head=head)
        self.entries.append(entry.SerializeToString(deterministic=True))

    # What an answer carries

    def checkpoint(self) -> str:
        """Return the signed checkpoint of the log as it stands."""
        head = Checkpoint(self.key.verifier.name, len(self.entries), log_root(self.entries))
        return signed(checkpoint_body(head), self.key)

    def included(self, record: DisclosedRecord) -> proof_pb.RecordProof:
        """Return the proof that the event of a served record is in the log."""
        kept = self._kept(record)
        return proof_pb.RecordProof(
            record=record.name,
            event=self.entry(self.events[record.event_sequence]),
            salt=_salt("event", record.event_sequence),
            opening=self.opening(record) if kept.protected else None,
        )

    def entry(self, index: int) -> proof_pb.EntryProof:
        """Return the proof that the entry at ``index`` is in the log."""
        return proof_pb.EntryProof(
            log_index=index, entry=self.entries[index], audit_path=audit_path(self.entries, index)
        )

    def head(self, *, opened: bool) -> proof_pb.MapHeadProof:
        """Return the proof of the map's head, with its protected tree where it is opened."""
        entry = self.entry(len(self.entries) - 1)
        return proof_pb.MapHeadProof(
            log_index=entry.log_index,
            entry=entry.entry,
            audit_path=entry.audit_path,
            protected_items=self.protected_items(),
            protected_tree=self.protected_tree() if opened else None,
        )

    def protected_items(self) -> list[str]:
        """Return the protected items, in order."""
        return sorted({kept.record.item for kept in self.revisions if kept.protected})

    def protected_tree(self) -> proof_pb.ProtectedTree:
        """Return what opens the head's commitment of the protected tree."""
        tree = proof_pb.ProtectedTree(
            salt=_salt("head", self.map_time), root=root(self.protected_leaves())
        )
        tree.holds_until.seconds = self._holds_until(protected=True)
        return tree

    def opening(self, record: DisclosedRecord) -> proof_pb.ProtectedOpening:
        """Return the opening of a served record of a protected item."""
        kept = self._kept(record)
        fields = _field_digests(kept.record)
        sequence = record.event_sequence
        if not record.served_fields:
            return proof_pb.ProtectedOpening(
                content_salt=_salt("content", sequence), hidden_fields=sorted(fields.values())
            )
        shown = [member.name for member in members_of(record.content.decode())]
        return proof_pb.ProtectedOpening(
            content_commitment=_commitment(kept.record),
            field_salts=[
                proof_pb.FieldSalt(name=name, salt=_salt("field", sequence, name)) for name in shown
            ],
            hidden_fields=sorted(digest for name, digest in fields.items() if name not in shown),
        )

    def subject(
        self, subject: str, items: Iterable[str], served: Sequence[DisclosedRecord], **options: bool
    ) -> proof_pb.SubjectProof:
        """Return the proof that ``served`` are all records of the subject of ``items``.

        ``all_public`` asks for every public item.
        """
        all_public = options.get("all_public", False)
        named = sorted(items)
        protected = [item for item in named if self.is_protected(item)]
        proof = proof_pb.SubjectProof(subject=subject, items=named, all_public=all_public)
        sequences = {record.event_sequence for record in served}
        if all_public or len(protected) < len(named):
            public_set = proof.public_set
            public_set.SetInParent()
            public_set.path.CopyFrom(path(self._public(), facts.public_key(subject)))
            for item, members in self._sets(subject, protected=False):
                if item in named or all_public:
                    public_set.unserved.extend(
                        _unserved(kept)
                        for kept in members
                        if kept.record.event_sequence not in sequences
                    )
                else:
                    public_set.other_items.add(item=item, set_digest=_set_digest(item, members))
        for item in protected:
            members = dict(self._sets(subject, protected=True)).get(item, [])
            proof.protected_sets.add(
                item=item,
                key=_protected_key(subject, item),
                salt=_leaf_salt(subject, item) if members else b"",
                path=path(self.protected_leaves(), _protected_key(subject, item)),
                openings=[self.opening(record) for record in served if record.item == item],
            )
        return proof

    def subject_proof(self, subject: str) -> GetSubjectProofResponse:
        """Return the public proof of a subject."""
        return GetSubjectProofResponse(
            checkpoint=self.checkpoint(),
            proof=self.subject(subject, (), (), all_public=True).SerializeToString(
                deterministic=True
            ),
            map_head=self.head(opened=False),
        )

    def signed(self, request: "Request", *answers: Answer, place: int = 0) -> list[bytes]:
        """Return answers with the gateway's signature, signed together with two others of
        which they come after ``place``."""
        bodies = [answer.SerializeToString(deterministic=True) for answer in answers]
        return self.signed_bytes(request, type(answers[0]), bodies, place)

    def signed_bytes(
        self, request: "Request", kind: type[Answer], bodies: Sequence[bytes], place: int = 0
    ) -> list[bytes]:
        """As `signed`, of answers that are given as bytes, of whatever they are made."""
        name = request.DESCRIPTOR.full_name
        digest = request_digest(name, request.SerializeToString(deterministic=True))
        others = [sha256(bytes((number,))).digest() for number in range(2)]
        leaves = [answer_leaf(digest, body) for body in bodies]
        leaves[:0] = others[:place]
        leaves.extend(others[place:])
        signature = self.key.sign(signed_text(len(leaves), _merkle(leaves)))
        return [
            body
            + kind(
                signature=proof_pb.AnswerSignature(
                    request_digest=digest,
                    index=place + number,
                    size=len(leaves),
                    audit_path=_audit_path(leaves, place + number),
                    signature=signature,
                )
            ).SerializeToString(deterministic=True)
            for number, body in enumerate(bodies)
        ]

    def live(self, subject: str, at: int, items: Iterable[str] = ()) -> list[DisclosedRecord]:
        """Return the records of a subject that are disclosed at ``at``."""
        wanted = set(items)
        return [
            kept.record
            for kept in self.revisions
            if kept.record.subject == subject
            and not kept.ended_by
            and kept.period[0] <= at < kept.period[1]
            and (not wanted or kept.record.item in wanted)
        ]

    def _log_event(self, kind: DisclosureEventKind.ValueType, kept: Kept) -> None:
        sequence = len(self.events) + 1
        record = kept.record
        event = proof_pb.EventEntry(
            event_sequence=sequence,
            kind=kind,
            commitment=facts.event_commitment(
                _salt("event", sequence),
                kind,
                record.revision,
                record.subject,
                record.item,
                _member(kept),
            ),
        )
        event.event_time.seconds = 1_700_000_000 + sequence
        self.events[sequence] = len(self.entries)
        entry = proof_pb.DisclosureLogEntry(event=event)
        self.entries.append(entry.SerializeToString(deterministic=True))

    def _kept(self, record: DisclosedRecord) -> Kept:
        return next(
            kept for kept in self.revisions if kept.record.event_sequence == record.event_sequence
        )

    def _holds_until(self, *, protected: bool) -> int:
        bounds = [
            bound
            for kept in self.revisions
            if not kept.ended_by and kept.protected == protected
            for bound in kept.period
            if bound > self.map_time
        ]
        return min((*bounds, self.map_time + 3_600))

    def is_protected(self, item: str) -> bool:
        """Tell whether an item is protected."""
        return any(kept.protected for kept in self.revisions if kept.record.item == item)

    def _in_map(self, *, protected: bool) -> list[Kept]:
        return [
            kept
            for kept in self.revisions
            if not kept.ended_by
            and kept.protected == protected
            and kept.period[0] <= self.map_time < kept.period[1]
        ]

    def _sets(self, subject: str, *, protected: bool) -> list[tuple[str, list[Kept]]]:
        own = [kept for kept in self._in_map(protected=protected) if kept.record.subject == subject]
        own.sort(key=lambda kept: (kept.record.item, kept.record.event_sequence))
        return [
            (item, list(members))
            for item, members in groupby(own, key=lambda kept: kept.record.item)
        ]

    def _public(self) -> dict[bytes, bytes]:
        subjects = {kept.record.subject for kept in self._in_map(protected=False)}
        return {
            facts.public_key(subject): facts.public_value(
                [
                    (item, _set_digest(item, members))
                    for item, members in self._sets(subject, protected=False)
                ]
            )
            for subject in subjects
        }

    def protected_leaves(self) -> dict[bytes, bytes]:
        """Return the leaves of the tree of protected items, by key."""
        subjects = {kept.record.subject for kept in self._in_map(protected=True)}
        return self.second_leaves | {
            _protected_key(subject, item): facts.protected_value(
                _leaf_salt(subject, item), subject, _set_digest(item, members)
            )
            for subject in subjects
            for item, members in self._sets(subject, protected=True)
        }


Request = pb.GetSubjectRecordsRequest | pb.GetRecordRequest | pb.BatchGetSubjectRecordsRequest


def cut(record: DisclosedRecord, *names: str) -> DisclosedRecord:
    """Return a record as it is served under a consent to some fields."""
    served = DisclosedRecord()
    served.CopyFrom(record)
    members = [each for each in members_of(record.content.decode()) if each.name in names]
    served.content = object_of(members).encode()
    served.content_digest = sha256(served.content).digest()
    served.served_fields[:] = sorted(names)
    return served


def log_root(entries: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of entries: RFC 6962 section 2.1, as it is written."""
    return _merkle([sha256(b"\x00" + entry).digest() for entry in entries])


def audit_path(entries: Sequence[bytes], index: int) -> list[bytes]:
    """Return a Merkle audit path: RFC 6962 section 2.1.1, as it is written."""
    return _audit_path([sha256(b"\x00" + entry).digest() for entry in entries], index)


def root(leaves: dict[bytes, bytes]) -> bytes:
    """Return the root of a prefix tree."""
    return _prefix_root(sorted(leaves.items()), 0)


def path(leaves: dict[bytes, bytes], key: bytes) -> proof_pb.MapPath:
    """Return the path of a key in a prefix tree."""
    here = sorted(leaves.items())
    siblings: list[bytes] = []
    while len(here) > 1:
        depth = len(siblings)
        halves = [[leaf for leaf in here if _bit(leaf[0], depth) == side] for side in (0, 1)]
        siblings.append(_prefix_root(halves[1 - _bit(key, depth)], depth + 1))
        here = halves[_bit(key, depth)]
    bits = "".join("0" if sibling == _EMPTY else "1" for sibling in siblings)
    size = (len(bits) + 7) // 8
    found = proof_pb.MapPath(
        sibling_bits=int(bits.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big"),
        depth=len(siblings),
        siblings=[sibling for sibling in siblings if sibling != _EMPTY],
        absent=not here,
    )
    if here and here[0][0] != key:
        found.other_key, found.other_value = here[0]
    return found


def _prefix_root(leaves: Sequence[tuple[bytes, bytes]], depth: int) -> bytes:
    if not leaves:
        return _EMPTY
    if len(leaves) == 1:
        key, value = leaves[0]
        return sha256(b"\x02" + key + value).digest()
    halves = (
        _prefix_root([leaf for leaf in leaves if _bit(leaf[0], depth) == side], depth + 1)
        for side in (0, 1)
    )
    return sha256(b"\x03" + b"".join(halves)).digest()


def _bit(key: bytes, depth: int) -> int:
    return int(f"{int.from_bytes(key, 'big'):0256b}"[depth])


def _merkle(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = _middle(leaves)
    return sha256(b"\x01" + _merkle(leaves[:middle]) + _merkle(leaves[middle:])).digest()


def _audit_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = _middle(leaves)
    if index < middle:
        return [*_audit_path(leaves[:middle], index), _merkle(leaves[middle:])]
    return [*_audit_path(leaves[middle:], index - middle), _merkle(leaves[:middle])]


def _middle(leaves: Sequence[bytes]) -> int:
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return middle


def _member(kept: Kept) -> bytes:
    record = kept.record
    copy = facts.Copy(record.name.removeprefix("records/"), record.content_digest, *kept.period)
    particulars = particulars_of(record)
    if not kept.protected:
        return facts.public_digest(copy, particulars)
    return facts.protected_digest(
        copy, particulars, _commitment(record), _field_digests(record).values()
    )


def particulars_of(record: DisclosedRecord) -> bytes:
    """Return the digest of what else a record states."""
    return facts.particulars_digest(
        record.revision, record.event_sequence, record.source, record.region, record.severity
    )


def _set_digest(item: str, members: Iterable[Kept]) -> bytes:
    return facts.set_digest(item, map(_member, members))


def _unserved(kept: Kept) -> proof_pb.UnservedRecord:
    record = kept.record
    return proof_pb.UnservedRecord(
        record=record.name,
        item=record.item,
        content_digest=record.content_digest,
        disclosed_from=record.disclosed_from,
        disclosed_until=record.disclosed_until if record.HasField("disclosed_until") else None,
        particulars_digest=particulars_of(record),
    )


def _commitment(record: DisclosedRecord) -> bytes:
    return facts.content_commitment(_salt("content", record.event_sequence), record.content_digest)


def _field_digests(record: DisclosedRecord) -> dict[str, bytes]:
    return {
        member.name: facts.field_digest(
            _salt("field", record.event_sequence, member.name), member.name, member.value.encode()
        )
        for member in members_of(record.content.decode())
    }


def _salt(label: str, *about: object) -> bytes:
    return hmac.digest(_SECRET, repr((label, *about)).encode(), "sha256")


def _protected_key(subject: str, item: str) -> bytes:
    return _salt("key", subject, item)


def _leaf_salt(subject: str, item: str) -> bytes:
    return _salt("leaf", subject, item)
