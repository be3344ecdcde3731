"""That records are all there are: a subject's sets in the disclosure map. Pure.

A subject's leaf in the tree of public items commits to all its public items at once, so what
is not among them is proved not to be. Each of its protected items has a leaf of its own, whose
value binds subject, item and whole set, and whose key is the gateway's own: that there is no
other leaf of them is its word (`ProvedSubject.on_word`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from creditgate.transparency.facts import (
    protected_commitment,
    protected_items_digest,
    protected_value,
    public_key,
    public_value,
    set_digest,
)
from creditgate.transparency.members import (
    period_of,
    protected_member,
    public_member,
    seconds_of,
    unserved_member,
)
from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid, leaf_hash, verify_inclusion
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.transparency.prefix_tree import path_root
from creditgate.transparency.strict import strictly
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import (
    DisclosureLogEntry,
    EntryProof,
    MapHead,
    MapHeadProof,
    ProtectedSetProof,
    ProtectedTree,
    SubjectProof,
    UnservedRecord,
    WithheldRecord,
)

LONGEST_SECONDS: Final = 3_600
"""For how long a head is vouched for at most: an older one proves nothing of a later instant."""


class Head(NamedTuple):
    """The disclosure map as a checkpoint commits to it.

    It holds all that was disclosed after event ``event_sequence``, from ``since`` until
    before ``until`` (seconds UTC). ``protected_items`` are the codes of all protected items;
    ``protected_root`` is None where the proof does not open it.
    """

    checkpoint: Checkpoint
    event_sequence: int
    since: int
    until: int
    public_root: bytes
    protected_root: bytes | None
    protected_items: frozenset[str]

    def holds_at(self, at: int) -> bool:
        """Tell whether the map holds at an instant (seconds UTC), but for later events."""
        return self.since <= at < self.until


class ProvedSubject(NamedTuple):
    """What is proved of one subject.

    ``items`` were proved as public or, if among ``protected``, by a leaf of their own;
    ``all_public`` tells that there is no other public item with records. ``hidden`` are the
    members that the caller may not have. ``unserved`` are members told without their content,
    where no records were to be proved complete.
    """

    subject: str
    items: tuple[str, ...]
    protected: frozenset[str]
    all_public: bool
    hidden: tuple[WithheldRecord, ...]
    unserved: tuple[UnservedRecord, ...]

    @property
    def withheld(self) -> Mapping[str, int]:
        """How many members the caller may not have, by item."""
        return Counter(each.item for each in self.hidden)

    @property
    def on_word(self) -> tuple[str, ...]:
        """The protected items of which there is nothing besides as the gateway says: the
        records proved are one whole leaf's of this subject and item, and the gateway alone
        can tell that there is no other leaf, since the key is its own."""
        return tuple(sorted(self.protected))


def verified_head(note: str, proof: MapHeadProof, key: VerifierKey) -> Head:
    """Return the map's head that the checkpoint in ``note`` commits to. Raises ProofInvalid.

    The head is the checkpoint's last entry: an older one could hide what came since.
    """
    checkpoint = open_checkpoint(note, key)
    if proof.log_index != checkpoint.size - 1:
        raise ProofInvalid("the map's head is not the checkpoint's last entry")
    verify_entry(proof, checkpoint)
    entry = strictly(DisclosureLogEntry, proof.entry)
    if entry.WhichOneof("entry") != "map_head":
        raise ProofInvalid("the checkpoint's last entry is no head of the map")
    head = entry.map_head
    if len(head.public_root) != HASH_BYTES:
        raise ProofInvalid("a root of the map is not of 32 bytes")
    _require_ascending(proof.protected_items, "the protected items are not in order")
    if head.protected_items_digest != protected_items_digest(proof.protected_items):
        raise ProofInvalid("the protected items are not those of the map's head")
    since = seconds_of(head.map_time)
    until, protected_root = _until(head, since), None
    if proof.HasField("protected_tree"):
        protected_root = _opened(head, proof)
        until = min(until, _until(proof.protected_tree, since))
    return Head(
        checkpoint,
        head.event_sequence,
        since,
        until,
        head.public_root,
        protected_root,
        frozenset(proof.protected_items),
    )


def verify_entry(proof: EntryProof | MapHeadProof, checkpoint: Checkpoint) -> None:
    """Check that an entry is in the log of ``checkpoint``. Raises ProofInvalid."""
    verify_inclusion(
        proof.log_index,
        checkpoint.size,
        leaf_hash(proof.entry),
        proof.audit_path,
        checkpoint.root,
    )


def verify_subject(
    proof: SubjectProof, records: Sequence[DisclosedRecord], head: Head, at: int | None
) -> ProvedSubject:
    """Check that ``records`` are all records of the subject that are disclosed at ``at``, of
    the items that the proof names.

    ``records`` are those of the subject, in the answer's order; ``at`` (seconds UTC) lies
    where ``head`` holds. None asks what the sets are, whose members may then be told without
    their content. Raises ProofInvalid.
    """
    unserved = (
        *proof.public_set.unserved,
        *(member for each in proof.protected_sets for member in each.unserved),
    )
    if unserved and at is not None:
        raise ProofInvalid("a record that is disclosed was left out")
    items = tuple(proof.items)
    _require_ascending(items, "the items proved are not in order")
    protected = [each.item for each in proof.protected_sets]
    _require_ascending(protected, "the protected items proved are not in order")
    if not set(protected) <= set(items):
        raise ProofInvalid("a protected item is proved that is not named")
    if not items and not proof.all_public:
        raise ProofInvalid("the proof names no items")
    _require_as_open(proof, protected, head)
    by_item: dict[str, list[DisclosedRecord]] = {}
    for record in records:
        _require_disclosed(record, head, at)
        by_item.setdefault(record.item, []).append(record)
    public_items = set(items).difference(protected)
    if proof.HasField("public_set"):
        public_records = {item: by_item.pop(item) for item in [*by_item] if item not in protected}
        if not head.protected_items.isdisjoint(public_records):
            raise ProofInvalid("a protected item is proved as a public one")
        told = {*public_records, *(each.item for each in proof.public_set.unserved)}
        if not proof.all_public and not told <= public_items:
            raise ProofInvalid("a record is of an item that has no proof")
        _verify_public(proof, public_records, head)
    elif public_items or proof.all_public:
        raise ProofInvalid("the public items named have no proof")
    for each in proof.protected_sets:
        _verify_protected(proof.subject, each, by_item.pop(each.item, []), head)
    if by_item:
        raise ProofInvalid("a record is of an item that has no proof")
    return ProvedSubject(
        proof.subject,
        items,
        frozenset(protected),
        proof.all_public,
        tuple(proof.public_set.withheld),
        unserved,
    )


def _until(tree: MapHead | ProtectedTree, since: int) -> int:
    until = seconds_of(tree.holds_until)
    if not since < until <= since + LONGEST_SECONDS:
        raise ProofInvalid("the map's head is vouched for too long")
    return until


def _opened(head: MapHead, proof: MapHeadProof) -> bytes:
    """Return the root of the tree of protected items."""
    tree = proof.protected_tree
    if len(tree.salt) != HASH_BYTES or len(tree.root) != HASH_BYTES:
        raise ProofInvalid("a root of the map is not of 32 bytes")
    opened = protected_commitment(tree.salt, tree.root, seconds_of(tree.holds_until))
    if head.protected_commitment != opened:
        raise ProofInvalid("the protected tree is not that of the map's head")
    return tree.root


def _require_as_open(proof: SubjectProof, protected: Sequence[str], head: Head) -> None:
    """Check that each item is proved by the tree that the map's head has it in."""
    if not head.protected_items.issuperset(protected):
        raise ProofInvalid("a public item is proved as a protected one")
    found = proof.public_set
    public = {
        *set(proof.items).difference(protected),
        *(each.item for each in (*found.other_items, *found.unserved, *found.withheld)),
    }
    if not head.protected_items.isdisjoint(public):
        raise ProofInvalid("a protected item is proved as a public one")


def _verify_public(
    proof: SubjectProof,
    records: Mapping[str, Sequence[DisclosedRecord]],
    head: Head,
) -> None:
    found = proof.public_set
    others = [other.item for other in found.other_items]
    _require_ascending(others, "the other items are not in order")
    if others and (proof.all_public or not set(others).isdisjoint(proof.items)):
        raise ProofInvalid("an item named is proved by its digest alone")
    members: dict[str, list[bytes]] = {
        item: [public_member(record) for record in of_item] for item, of_item in records.items()
    }
    for unserved in found.unserved:
        _require_disclosed(unserved, head, None)
        members.setdefault(unserved.item, []).append(unserved_member(unserved, protected=False))
    for withheld in found.withheld:
        if len(withheld.digest) != HASH_BYTES:
            raise ProofInvalid("the digest of a member is not of 32 bytes")
        if not proof.all_public and withheld.item not in proof.items:
            raise ProofInvalid("a member is withheld of an item that is not named")
        members.setdefault(withheld.item, []).append(withheld.digest)
    sets = [(item, set_digest(item, digests)) for item, digests in members.items()]
    for other in found.other_items:
        if len(other.set_digest) != HASH_BYTES:
            raise ProofInvalid("the digest of a set is not of 32 bytes")
        sets.append((other.item, other.set_digest))
    value = public_value(sets) if sets else None
    if path_root(public_key(proof.subject), value, found.path) != head.public_root:
        raise ProofInvalid("the records are not the subject's whole set of public items")


def _verify_protected(
    subject: str, proof: ProtectedSetProof, records: Sequence[DisclosedRecord], head: Head
) -> None:
    if len(proof.openings) != len(records):
        raise ProofInvalid("the openings are not those of the records")
    members = [
        protected_member(record, opening)
        for record, opening in zip(records, proof.openings, strict=True)
    ]
    for unserved in proof.unserved:
        _require_disclosed(unserved, head, None)
        if unserved.item != proof.item:
            raise ProofInvalid("a member is of another item than its set")
        members.append(unserved_member(unserved, protected=True))
    value = None
    if members:
        if len(proof.salt) != HASH_BYTES:
            raise ProofInvalid("the salt of a protected set is not of 32 bytes")
        value = protected_value(proof.salt, subject, set_digest(proof.item, members))
    elif proof.salt:
        raise ProofInvalid("a protected set without members has a salt")
    if head.protected_root is None:
        raise ProofInvalid("the protected tree is not opened")
    if path_root(proof.key, value, proof.path) != head.protected_root:
        raise ProofInvalid("the records are not the subject's whole set of a protected item")


def _require_disclosed(
    record: DisclosedRecord | UnservedRecord, head: Head, at: int | None
) -> None:
    from_, until = period_of(record)
    if not from_ <= head.since < until or (at is not None and not from_ <= at < until):
        raise ProofInvalid("a record is told of outside its period")


def _require_ascending(names: Sequence[str], otherwise: str) -> None:
    if any(left >= right for left, right in pairwise(names)):
        raise ProofInvalid(otherwise)
