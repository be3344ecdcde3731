"""Hashes of what is disclosed: copies, sets of them, events. Pure.

Every hash is SHA-256 over a label, which tells what is hashed, and parts, each behind its
length, so that no two different facts are hashed from the same bytes.
"""

from collections.abc import Iterable
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from creditgate.transparency.merkle import HASH_BYTES

NO_END: Final = 253_402_300_799
"""What stands for disclosed_until where there is none (9999-12-31T23:59:59Z)."""
SHORT_BYTES: Final = 16
"""Bytes of a copy digest that are reconciled: enough against second preimages."""


class Particulars(NamedTuple):
    """What else a disclosed revision states, beside subject, item, content and period.

    ``severity`` is a Severity's number, ``event_sequence`` the event that fixed the revision.
    """

    revision: int
    event_sequence: int
    source: str
    region: str
    severity: int


class Copy(NamedTuple):
    """A revision as it is disclosed, or a copy of it as it is held.

    ``content_digest`` is SHA-256 of the content (of what a consent opens, where content is
    cut); times are seconds UTC, ``disclosed_until`` is `NO_END` where there is none.
    """

    record_id: str
    content_digest: bytes
    disclosed_from: int
    disclosed_until: int


def _head(label: str) -> bytes:
    return b"creditgate/%b/v1\n" % label.encode()


# Four hashes are made of each event. Where the number of parts is known they are written as
# `labelled` writes them, in one piece: half of what it costs to put each behind its length.
_EVENT: Final = _head("event")
_COPY: Final = _head("copy")
_PARTICULARS: Final = _head("particulars")
_PUBLIC: Final = _head("public")
_length: Final = Struct(">I").pack
_period: Final = Struct(">IqIq").pack
_fixed_by: Final = Struct(">IIIQ").pack
_graded: Final = Struct(">II").pack
_kind_and_revision: Final = Struct(">IBII").pack


def labelled(label: str, *parts: bytes) -> bytes:
    """Return the hash of ``parts`` under a label, 32 bytes."""
    pieces = [_head(label)]
    # Hashed at once: of short parts each call costs more than what it hashes.
    for part in parts:
        pieces += (_length(len(part)), part)
    return sha256(b"".join(pieces)).digest()


def copy_digest(copy: Copy) -> bytes:
    """Return the digest of record, content and period: same content, same period."""
    record, content = copy.record_id.encode(), copy.content_digest
    return sha256(
        b"%b%b%b%b%b%b"
        % (
            _COPY,
            _length(len(record)),
            record,
            _length(len(content)),
            content,
            _period(8, copy.disclosed_from, 8, copy.disclosed_until),
        )
    ).digest()


def particulars_digest(particulars: Particulars) -> bytes:
    """Return the digest of what else a revision states."""
    source, region = particulars.source.encode(), particulars.region.encode()
    return sha256(
        b"%b%b%b%b%b%b%b"
        % (
            _PARTICULARS,
            _fixed_by(4, particulars.revision, 8, particulars.event_sequence),
            _length(len(source)),
            source,
            _length(len(region)),
            region,
            _graded(4, particulars.severity),
        )
    ).digest()


def public_digest(copy: Copy, particulars: bytes) -> bytes:
    """Return the digest of a record of a public item: of all it states but subject and item,
    which its set's place tells. ``particulars`` is `particulars_digest`."""
    return sha256(
        b"%b%b%b%b%b"
        % (
            _PUBLIC,
            _length(HASH_BYTES),
            copy_digest(copy),
            _length(len(particulars)),
            particulars,
        )
    ).digest()


def field_digest(salt: bytes, name: str, value: bytes) -> bytes:
    """Return the salted digest of one member of content: ``value`` in its very bytes."""
    return labelled("field", salt, name.encode(), value)


def content_commitment(salt: bytes, content_digest: bytes) -> bytes:
    """Return the salted commitment of whole content."""
    return labelled("content", salt, content_digest)


def protected_digest(
    copy: Copy, particulars: bytes, commitment: bytes, field_digests: Iterable[bytes]
) -> bytes:
    """Return the digest of a record of a protected item: it can be opened whole, or field by
    field, without that the rest can be guessed.

    ``copy.content_digest`` is not looked at; ``particulars`` is `particulars_digest`,
    ``commitment`` is `content_commitment` of the whole, ``field_digests`` are `field_digest`
    of every member.
    """
    return labelled(
        "protected",
        copy.record_id.encode(),
        particulars,
        commitment,
        _instant(copy.disclosed_from),
        _instant(copy.disclosed_until),
        *sorted(field_digests),
    )


def set_digest(item: str, members: Iterable[bytes]) -> bytes:
    """Return the digest of a subject's records of one item: ``members`` are `public_digest` of
    public records, `protected_digest` of others."""
    return labelled("set", item.encode(), *sorted(members))


def public_value(sets: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the value of a subject's leaf: its public items that have records, with their
    `set_digest`."""
    ordered = sorted(sets)
    return labelled(
        "subject", *(part for item, digest in ordered for part in (item.encode(), digest))
    )


def protected_value(salt: bytes, subject: str, digest: bytes) -> bytes:
    """Return the value of the leaf of a subject's protected item, of its `set_digest`, which
    binds the item: nobody can show the leaf as another subject's, or as another item's."""
    return labelled("protected-set", salt, subject.encode(), digest)


def protected_items_digest(items: Iterable[str]) -> bytes:
    """Return the digest of the codes of all protected items."""
    return labelled("protected-items", *(item.encode() for item in sorted(items)))


def protected_commitment(salt: bytes, root: bytes, holds_until: int) -> bytes:
    """Return the commitment of the tree of protected items: its root, and until before when
    (seconds UTC) it is vouched for."""
    return labelled("protected-tree", salt, root, _instant(holds_until))


def public_key(subject: str) -> bytes:
    """Return the key of a subject's leaf in the tree of public items."""
    return labelled("subject-key", subject.encode())


def event_commitment(
    salt: bytes, kind: int, revision: int, subject: str, item: str, member: bytes
) -> bytes:
    """Return the commitment of an event: ``kind`` a DisclosureEventKind, ``member`` the
    `public_digest` or `protected_digest` of the revision that the event fixed or ended."""
    whose, of = subject.encode(), item.encode()
    return sha256(
        b"%b%b%b%b%b%b%b%b%b%b"
        % (
            _EVENT,
            _length(len(salt)),
            salt,
            _kind_and_revision(1, kind, 4, revision),
            _length(len(whose)),
            whose,
            _length(len(of)),
            of,
            _length(len(member)),
            member,
        )
    ).digest()


def _instant(seconds: int) -> bytes:
    return seconds.to_bytes(8, "big", signed=True)
