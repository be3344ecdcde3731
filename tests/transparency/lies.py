"""Answers of a dishonest gateway: signed by its own key, and told by what does not hold."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from creditgate.v1 import disclosure_proof_pb2 as proof_pb
from tests.transparency.proving import Disclosure, cut, path
from tests.transparency.scenario import (
    ABROAD,
    AT,
    CLEAR,
    FINE,
    FULL,
    HONOUR,
    INCLUSION,
    MAPPED,
    OTHER,
    PAY,
    TAX,
    Exchange,
    chunk,
    one_record,
    unary,
)


@dataclass(frozen=True)
class Lie:
    """An exchange, what was done to its last answer before it was signed, and why it is
    refused."""

    exchange: Callable[[Disclosure], Exchange]
    change: Callable[[Any, Disclosure], object]
    reason: str


def _digest(content: bytes) -> bytes:
    return sha256(content).digest()


def _two(made: Disclosure) -> Exchange:
    return unary(made, FULL, FINE)


def _protected(made: Disclosure) -> Exchange:
    return unary(made, FULL, FINE, TAX)


def _cut(made: Disclosure) -> Exchange:
    served = [cut(record, "due", "paid") for record in made.live(FULL, AT, [TAX])]
    return unary(made, FULL, TAX, served=served)


def _included(made: Disclosure) -> Exchange:
    return unary(made, FULL, FINE, TAX, kind=INCLUSION)


def _none(made: Disclosure) -> Exchange:
    return unary(made, CLEAR, FINE)


def _left_out(answer: Any, _made: Disclosure) -> None:
    del answer.records[1]


def _with_another(answer: Any, made: Disclosure) -> None:
    answer.records.extend(made.live(OTHER, AT, [FINE]))


def _older(answer: Any, made: Disclosure) -> None:
    """Prove against the checkpoint before the last, in which nothing was repaired yet."""
    earlier = Disclosure(made.key, entries=made.entries[:4])
    answer.proof.checkpoint = earlier.checkpoint()


def _content(answer: Any, _made: Disclosure) -> None:
    answer.records[0].content = b'{"amount":1,"finding":"late filing"}'


def _cut_public(answer: Any, _made: Disclosure) -> None:
    answer.records[0].CopyFrom(cut(answer.records[0], "amount"))


def _fields(answer: Any, _made: Disclosure) -> None:
    answer.records[0].CopyFrom(cut(answer.records[0], "paid"))
    answer.records[0].served_fields[:] = ["due", "paid"]


def _set(path: str, value: Any) -> Callable[[Any, Disclosure], None]:
    """Return what sets a field of an answer, named as "proof.subjects[0].items"."""
    *parents, name = path.replace("[", ".").replace("]", "").split(".")

    def change(answer: Any, _made: Disclosure) -> None:
        at = answer
        for parent in parents:
            at = at[int(parent)] if parent.isdigit() else getattr(at, parent)
        if isinstance(value, list):
            getattr(at, name)[:] = value
        else:
            setattr(at, name, value)

    return change


def _clear(path: str) -> Callable[[Any, Disclosure], None]:
    *parents, name = path.replace("[", ".").replace("]", "").split(".")

    def change(answer: Any, _made: Disclosure) -> None:
        at = answer
        for parent in parents:
            at = at[int(parent)] if parent.isdigit() else getattr(at, parent)
        at.ClearField(name)

    return change


def _unserved(answer: Any, _made: Disclosure) -> None:
    record = answer.records.pop()
    answer.proof.subjects[0].public_set.unserved.add(
        record=record.name, item=record.item, content_digest=record.content_digest
    )


def _withheld_elsewhere(answer: Any, _made: Disclosure) -> None:
    answer.proof.subjects[0].public_set.withheld.add(item="other", digest=bytes(32))


def _as_other_item(answer: Any, _made: Disclosure) -> None:
    """Tell the set of an item that was asked for by its digest alone."""
    del answer.records[:]
    answer.receipt.ClearField("usable_until")
    others = answer.proof.subjects[0].public_set.other_items
    others.insert(0, proof_pb.OtherItem(item=FINE, set_digest=bytes(32)))


def _salted(answer: Any, _made: Disclosure) -> None:
    answer.proof.subjects[0].protected_sets[0].salt = bytes(32)


def _of_another(answer: Any, made: Disclosure) -> None:
    """Show what is disclosed of another subject, by its own leaf, as this one's."""
    (record,) = made.live(OTHER, AT, [PAY])
    proof = answer.proof.subjects[0]
    proof.CopyFrom(made.subject(OTHER, [PAY], [record]))
    answer.records.add().CopyFrom(record)
    proof.subject = answer.records[0].subject = CLEAR
    answer.receipt.charged_entries = 1
    answer.receipt.charged_micro_yuan = 250_000


def _another_event(answer: Any, made: Disclosure) -> None:
    answer.proof.records[0].event.CopyFrom(made.entry(made.events[2]))


def _map_head_as_event(answer: Any, made: Disclosure) -> None:
    answer.proof.records[0].event.CopyFrom(made.entry(2))


def _event_as_map_head(answer: Any, made: Disclosure) -> None:
    entries = made.entries[:-1]
    earlier = Disclosure(made.key, entries=entries)
    answer.proof.checkpoint = earlier.checkpoint()
    entry = earlier.entry(len(entries) - 1)
    answer.proof.map_head.CopyFrom(
        proof_pb.MapHeadProof(
            log_index=entry.log_index, entry=entry.entry, audit_path=entry.audit_path
        )
    )


def _denied(answer: Any) -> Any:
    """Take all records out of an answer; return its only subject's proof."""
    del answer.records[:]
    answer.receipt.ClearField("usable_until")
    return answer.proof.subjects[0]


def _public_denied_as_protected(answer: Any, made: Disclosure) -> None:
    """Prove that a public item has no records under a key that nobody can check."""
    proof = _denied(answer)
    proof.ClearField("public_set")
    key = _digest(b"any")
    found = path(made.protected_leaves(), key)
    proof.protected_sets.add(item=FINE, key=key, path=found)
    answer.proof.map_head.CopyFrom(made.head(opened=True))


def _protected_denied_as_public(answer: Any, made: Disclosure) -> None:
    """Prove that a protected item has no records in the tree of public ones."""
    _denied(answer).CopyFrom(made.subject(FULL, ["none"], ()))
    answer.proof.subjects[0].items[:] = [TAX]


def _nothing_named(answer: Any, _made: Disclosure) -> None:
    proof = _denied(answer)
    proof.all_public = False
    proof.ClearField("public_set")


def _another_named(answer: Any, made: Disclosure) -> None:
    _denied(answer).CopyFrom(made.subject(FULL, ["none"], ()))


def _head_of(change: Callable[[proof_pb.MapHead], object]) -> Callable[[Any, Disclosure], None]:
    """Return what logs another head of the map, and proves by it."""

    def lie(answer: Any, made: Disclosure) -> None:
        entry = proof_pb.DisclosureLogEntry.FromString(made.entries[-1])
        change(entry.map_head)
        logged = entry.SerializeToString(deterministic=True)
        answer.proof.map_head.entry = logged
        lying = Disclosure(made.key, entries=[*made.entries[:-1], logged])
        answer.proof.checkpoint = lying.checkpoint()

    return lie


def _twice(answer: Any, _made: Disclosure) -> None:
    answer.proof.subjects.add().CopyFrom(answer.proof.subjects[0])


_PROVED: Final = "proof.subjects[0]."

_TOO_LONG: Final = "the map's head is vouched for too long"

LIES: Final[dict[str, Lie]] = {
    "a public item is denied as a protected one": Lie(
        _two, _public_denied_as_protected, "a public item is proved as a protected one"
    ),
    "a protected item is denied as a public one": Lie(
        lambda made: unary(made, FULL, TAX),
        _protected_denied_as_public,
        "a protected item is proved as a public one",
    ),
    "a protected record is shown as a public one": Lie(
        lambda made: unary(made, FULL),
        lambda answer, made: answer.records.extend(made.live(FULL, AT, [TAX])),
        "a protected item is proved as a public one",
    ),
    "nothing is named, and nothing proved": Lie(
        lambda made: unary(made, FULL), _nothing_named, "the proof names no items"
    ),
    "where no item was asked for, one without records is proved": Lie(
        lambda made: unary(made, FULL), _another_named, "the proof is not of all public items"
    ),
    "a protected item is left out of the list": Lie(
        _protected,
        _set("proof.map_head.protected_items", [PAY]),
        "the protected items are not those of the map's head",
    ),
    "the protected items are out of order": Lie(
        _protected,
        _set("proof.map_head.protected_items", [PAY, TAX]),
        "the protected items are not in order",
    ),
    "the protected tree is not opened": Lie(
        _protected, _clear("proof.map_head.protected_tree"), "the protected tree is not opened"
    ),
    "the protected tree is another": Lie(
        _protected,
        _set("proof.map_head.protected_tree.root", bytes(32)),
        "the protected tree is not that of the map's head",
    ),
    "the protected tree's salt is too short": Lie(
        _protected,
        _set("proof.map_head.protected_tree.salt", bytes(16)),
        "a root of the map is not of 32 bytes",
    ),
    "the map is said to hold for ever": Lie(
        _none, _head_of(lambda head: head.ClearField("holds_until")), _TOO_LONG
    ),
    "the map is said to hold for more than an hour": Lie(
        _none,
        _head_of(lambda head: setattr(head.holds_until, "seconds", MAPPED + 3_601)),
        _TOO_LONG,
    ),
    "the answer is of an hour after the map": Lie(
        lambda made: unary(made, CLEAR, PAY),
        lambda answer, made: (
            _head_of(lambda head: setattr(head.holds_until, "seconds", MAPPED + 3_600))(
                answer, made
            ),
            setattr(answer.receipt.serve_time, "seconds", MAPPED + 3_600),
        ),
        "the map does not hold at the instant of serving",
    ),
    "a disclosed record is shown twice": Lie(
        _included,
        lambda answer, _: (
            answer.records.add().CopyFrom(answer.records[0]),
            answer.proof.records.add().CopyFrom(answer.proof.records[0]),
        ),
        "a record is shown twice",
    ),
    "a record is left out": Lie(
        _two, _left_out, "the records are not the subject's whole set of public items"
    ),
    "a record is shown twice": Lie(
        _two,
        lambda answer, _: answer.records.add().CopyFrom(answer.records[0]),
        "the records are not the subject's whole set of public items",
    ),
    "a record is another company's": Lie(
        _two, _with_another, "a record is of a subject that has no proof"
    ),
    "a record's content is altered": Lie(
        _two, _content, "the digest of a record is not that of its content"
    ),
    "a record's severity is altered": Lie(
        _two,
        _set("records[0].severity", 1),
        "the records are not the subject's whole set of public items",
    ),
    "a record's source is altered": Lie(
        _two,
        _set("records[0].source", "Another Bureau"),
        "the records are not the subject's whole set of public items",
    ),
    "a record's region is altered": Lie(
        _two,
        _set("records[0].region", "110000"),
        "the records are not the subject's whole set of public items",
    ),
    "a record's revision is altered": Lie(
        _two,
        _set("records[0].revision", 2),
        "the records are not the subject's whole set of public items",
    ),
    "a record's name is altered": Lie(
        _two,
        _set("records[0].name", "records/a-9"),
        "the records are not the subject's whole set of public items",
    ),
    "a record's name is no name": Lie(
        _two, _set("records[0].name", "a-1"), "the name of a record does not begin with records/"
    ),
    "a record's revision is no number": Lie(
        _two,
        _set("records[0].revision", -1),
        "a record's revision, event or severity is no number of a record",
    ),
    "a record's period begins earlier": Lie(
        _two,
        _set("records[0].disclosed_from.seconds", MAPPED - 600),
        "the records are not the subject's whole set of public items",
    ),
    "a record's period has no beginning": Lie(
        _two,
        _clear("records[0].disclosed_from"),
        "a record does not say since when it is disclosed",
    ),
    "a record's period has parts of seconds": Lie(
        _two,
        _set("records[0].disclosed_from.nanos", 1),
        "a time is not of whole seconds before the end of time",
    ),
    "a record's end is left out": Lie(
        _two,
        _clear("records[0].disclosed_until"),
        "the receipt tells of another end of use than the records",
    ),
    "a record is of an item that is not proved": Lie(
        _two, _set("records[0].item", HONOUR), "a record is of an item that has no proof"
    ),
    "a public record is cut": Lie(
        _two, _cut_public, "a record of a public item is cut to some fields"
    ),
    "what is disclosed is told by its digest": Lie(
        _two, _unserved, "a record that is disclosed was left out"
    ),
    "an item asked for is told by its digest": Lie(
        _two, _as_other_item, "an item named is proved by its digest alone"
    ),
    "a member is withheld of another item": Lie(
        _two, _withheld_elsewhere, "a member is withheld of an item that is not named"
    ),
    "another item's set is altered": Lie(
        _two,
        _set(_PROVED + "public_set.other_items[0].set_digest", bytes(32)),
        "the records are not the subject's whole set of public items",
    ),
    "another item's set is no digest": Lie(
        _two,
        _set(_PROVED + "public_set.other_items[0].set_digest", bytes(31)),
        "the digest of a set is not of 32 bytes",
    ),
    "the public items have no proof": Lie(
        _none, _clear(_PROVED + "public_set"), "the public items named have no proof"
    ),
    "an item asked for is not proved": Lie(
        _none,
        _set(_PROVED + "items", ["blacklist"]),
        "the items proved are not those asked for",
    ),
    "the items are out of order": Lie(
        lambda made: unary(made, CLEAR, FINE, HONOUR),
        _set(_PROVED + "items", [HONOUR, FINE]),
        "the items proved are not in order",
    ),
    "the proof is of another company": Lie(
        _none,
        _set(_PROVED + "subject", ABROAD),
        "the key has a leaf",
    ),
    "the company proved is not the one asked for": Lie(
        lambda made: unary(made, CLEAR, "blacklist"),
        lambda answer, made: answer.proof.subjects[0].CopyFrom(
            made.subject(ABROAD, ("blacklist",), [])
        ),
        "the subjects proved are not those asked for",
    ),
    "a company is proved twice": Lie(_none, _twice, "a subject is proved twice"),
    "the path's sibling is altered": Lie(
        _two,
        _set(_PROVED + "public_set.path.siblings", [bytes(31) + b"\x01"]),
        "the path's siblings are not those of its bits",
    ),
    "the path says that there is nothing": Lie(
        _two, _set(_PROVED + "public_set.path.absent", True), "the path is of a key without a leaf"
    ),
    "the map is older than the answer": Lie(
        _two,
        _set("receipt.disclosure_sequence", 99),
        "the map is older than the disclosure that was answered from",
    ),
    "the map is not of that instant": Lie(
        _none,
        _set("receipt.serve_time.seconds", MAPPED - 1),
        "the map does not hold at the instant of serving",
    ),
    "the map does not hold any more": Lie(
        _none,
        _set("receipt.serve_time.seconds", MAPPED + 100),
        "the map does not hold at the instant of serving",
    ),
    "a record is served when its period is over": Lie(
        _two,
        _set("receipt.serve_time.seconds", MAPPED + 100),
        "a record was served outside its period",
    ),
    "the receipt says that use may go on": Lie(
        _two,
        _set("receipt.usable_until.seconds", MAPPED + 101),
        "the receipt tells of another end of use than the records",
    ),
    "the receipt says that use has no end": Lie(
        _two,
        _clear("receipt.usable_until"),
        "the receipt tells of another end of use than the records",
    ),
    "the checkpoint is an older one": Lie(
        _two, _older, "the map's head is not the checkpoint's last entry"
    ),
    "the checkpoint ends with an event": Lie(
        _two, _event_as_map_head, "the checkpoint's last entry is no head of the map"
    ),
    "the map's head is altered": Lie(
        _two,
        lambda answer, _: setattr(
            answer.proof.map_head, "entry", answer.proof.map_head.entry[:-1] + b"\x00"
        ),
        "the audit path does not lead to the root",
    ),
    "the proof of completeness proves single records": Lie(
        _two,
        lambda answer, made: answer.proof.records.append(made.included(answer.records[0])),
        "a proof of completeness holds proofs of single records",
    ),
    "there is no proof": Lie(_two, _clear("proof"), "the answer has no proof"),
    "the proof is of the other kind": Lie(
        _none,
        lambda answer, made: answer.proof.CopyFrom(
            proof_pb.DisclosureProof(checkpoint=made.checkpoint())
        ),
        "the proof is not of the kind asked for",
    ),
    "a protected record is left out": Lie(
        lambda made: unary(made, FULL, TAX),
        lambda answer, made: (_left_out(answer, made), answer.receipt.ClearField("usable_until")),
        "the openings are not those of the records",
    ),
    "a protected record and its opening are left out": Lie(
        lambda made: unary(made, FULL, TAX),
        lambda answer, made: (
            _left_out(answer, made),
            answer.proof.subjects[0].protected_sets[0].openings.pop(),
            answer.receipt.ClearField("usable_until"),
        ),
        "the records are not the subject's whole set of a protected item",
    ),
    "a set without members has a salt": Lie(
        lambda made: unary(made, CLEAR, PAY), _salted, "a protected set without members has a salt"
    ),
    "a set's salt is another": Lie(
        lambda made: unary(made, FULL, TAX),
        _salted,
        "the records are not the subject's whole set of a protected item",
    ),
    "another subject's record of a protected item is shown as this one's": Lie(
        lambda made: unary(made, CLEAR, PAY),
        _of_another,
        "the records are not the subject's whole set of a protected item",
    ),
    "a set's salt is too short": Lie(
        lambda made: unary(made, FULL, TAX),
        _set(_PROVED + "protected_sets[0].salt", bytes(16)),
        "the salt of a protected set is not of 32 bytes",
    ),
    "an opening has no salt": Lie(
        _protected,
        _clear(_PROVED + "protected_sets[0].openings[0].content_salt"),
        "a record of a protected item has no opening",
    ),
    "an opening's digests are out of order": Lie(
        _protected,
        lambda answer, _: (
            answer.proof.subjects[0].protected_sets[0].openings[0].hidden_fields.reverse()
        ),
        "the digests of fields are not in order",
    ),
    "an opening of a whole record has salts of fields": Lie(
        _protected,
        lambda answer, _: (
            answer.proof.subjects[0].protected_sets[0].openings[0].field_salts.add(name="x")
        ),
        "the opening of a whole record is of one cut to some fields",
    ),
    "an opening of a cut record is of the whole": Lie(
        _cut,
        _set(_PROVED + "protected_sets[0].openings[0].content_salt", bytes(32)),
        "the opening of a record cut to some fields is of the whole",
    ),
    "a field of a cut record is altered": Lie(
        _cut,
        lambda answer, _: (
            setattr(answer.records[0], "content", b'{"due":true,"paid":120000}'),
            setattr(answer.records[0], "content_digest", _digest(b'{"due":true,"paid":120000}')),
        ),
        "the records are not the subject's whole set of a protected item",
    ),
    "a field of a cut record is left out": Lie(
        _cut, _fields, "the fields opened are not those of the content"
    ),
    "a cut record's content is not canonical": Lie(
        _cut,
        lambda answer, _: (
            setattr(answer.records[0], "content", b'{"due": false}'),
            setattr(answer.records[0], "content_digest", _digest(b'{"due": false}')),
        ),
        "the content is not canonical JSON",
    ),
    "the proofs are fewer than the records": Lie(
        _included, _clear("proof.records"), "the proofs are not those of the records"
    ),
    "the proof is of another record": Lie(
        _included,
        _set("proof.records[0].record", "records/a-2"),
        "the proof is of another record",
    ),
    "the proof is of another event": Lie(
        _included, _another_event, "the event is not the one that fixed the record"
    ),
    "the proof is of a map's head": Lie(_included, _map_head_as_event, "the entry is of no event"),
    "a disclosed record is altered": Lie(
        _included,
        _set("records[1].severity", 1),
        "the record is not what its event committed to",
    ),
    "a disclosed record's item is altered": Lie(
        _included,
        _set("records[0].item", TAX),
        "the record is not what its event committed to",
    ),
    "an event's salt is another": Lie(
        _included,
        _set("proof.records[0].salt", bytes(32)),
        "the record is not what its event committed to",
    ),
    "an event's salt is too short": Lie(
        _included,
        _set("proof.records[0].salt", bytes(8)),
        "the salt of an event is not of 32 bytes",
    ),
    "a proof of records tells of subjects": Lie(
        _included,
        lambda answer, _: answer.proof.subjects.add(subject=FULL),
        "a proof of single records holds proofs of completeness",
    ),
    "another record is answered with": Lie(
        one_record,
        lambda answer, made: (
            answer.records[0].CopyFrom(made.live(ABROAD, AT, [FINE])[0]),
            answer.proof.records[0].CopyFrom(made.included(answer.records[0])),
        ),
        "the answer is not the record asked for",
    ),
    "a record of an item not asked for": Lie(
        lambda made: unary(made, FULL, TAX, kind=INCLUSION, served=made.live(FULL, AT, [FINE])),
        lambda answer, _: None,
        "a record is of an item that was not asked for",
    ),
    "a record of a company not asked for": Lie(
        lambda made: unary(made, CLEAR, FINE, kind=INCLUSION, served=made.live(FULL, AT, [FINE])),
        lambda answer, _: None,
        "a record is of a subject that was not asked for",
    ),
    "a chunk is of other companies": Lie(
        lambda made: chunk(made, parts=1),
        _set("first_subject", 3),
        "the chunk is not one of the batch asked for",
    ),
    "a chunk is shorter than it says": Lie(
        lambda made: chunk(made, parts=1),
        _set("subject_count", 1),
        "the subjects proved are not those asked for",
    ),
    "a chunk is not whole": Lie(
        lambda made: chunk(made, parts=1),
        _set("chunk_complete", False),
        "the last part of the chunk is missing",
    ),
    "the parts are of different answers": Lie(
        chunk, _set("receipt.decision_id", "d-0002"), "the parts are not of one chunk"
    ),
}
"""Exchanges that must not verify, whoever signed them."""
