"""Hashes of what is disclosed: copies, sets of them, events. Pure.

Every hash is SHA-256 over a label, which tells what is hashed, and parts, each behind its
length, so that no two different facts are hashed from the same bytes.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple, Protocol

from creditgate.transparency.merkle import HASH_BYTES

NO_END: Final = 253_402_300_799
"""What stands for disclosed_until where there is none (9999-12-31T23:59:59Z)."""
SHORT_BYTES: Final = 16
"""Bytes of a copy digest that are reconciled: enough against second preimages."""


class Copied(Protocol):
    """Whatever states what a `Copy` does."""

    @property
    def record_id(self) -> str:
        """The publisher's id."""
        ...

    @property
    def content_digest(self) -> bytes:
        """SHA-256 of the content."""
        ...

    @property
    def disclosed_from(self) -> int:
        """First instant of disclosure."""
        ...

    @property
    def disclosed_until(self) -> int:
        """First instant after disclosure."""
        ...


class Copy(NamedTuple):
    """A revision as it is disclosed, or a copy of it as it is held.

    ``content_digest`` is SHA-256 of the content (of what a consent opens, where content is
    cut); times are seconds UTC, ``disclosed_until`` is `NO_END` where there is none.
    """

    record_id: str
    content_digest: bytes
    disclosed_from: int
    disclosed_until: int


@cache
def _head(label: str) -> bytes:
    return b"creditgate/%b/v1\n" % label.encode()


# Four hashes are made of each event. Where the number of parts is known they are written as
# `labelled` writes them, in one piece: half of what it costs to put each behind its length.
_EVENT: Final = _head("event")
_COPY: Final = _head("copy")
_PARTICULARS: Final = _head("particulars")
_EVENT_FORM: Final = f">{len(_EVENT)}sI%dsIBIII%dsI%dsI%ds"
_COPY_FORM: Final = f">{len(_COPY)}sI%dsI%dsIqIq"
_length: Final = Struct(">I").pack
_fixed_by: Final = Struct(">IIIQ").pack
_graded: Final = Struct(">II").pack
_PUBLIC_COPY: Final = _head("public") + _length(HASH_BYTES)


@lru_cache(maxsize=1024)
def _packed(form: str, *lengths: int) -> Callable[..., bytes]:
    """Return what packs values of a form; the lengths are those of its texts, which are few."""
    return Struct(form % lengths).pack


@lru_cache(maxsize=1024)
def _whose(source: str, region: str, severity: int) -> bytes:
    """Return what many revisions have in common, as parts behind their lengths."""
    department, place = source.encode(), region.encode()
    return b"".join(
        (
            _length(len(department)),
            department,
            _length(len(place)),
            place,
            _graded(4, severity),
        )
    )


def labelled(label: str, *parts: bytes) -> bytes:
    """Return the hash of ``parts`` under a label, 32 bytes."""
    pieces = [_head(label)]
    # Hashed at once: of short parts each call costs more than what it hashes.
    for part in parts:
        pieces += (_length(len(part)), part)
    return sha256(b"".join(pieces)).digest()


def copy_digest(copy: Copied) -> bytes:
    """Return the digest of record, content and period: same content, same period."""
    record, content = copy.record_id.encode(), copy.content_digest
    a, b = len(record), len(content)
    packed = _packed(_COPY_FORM, a, b)
    return sha256(
        packed(_COPY, a, record, b, content, 8, copy.disclosed_from, 8, copy.disclosed_until)
    ).digest()


def particulars_digest(
    revision: int, event_sequence: int, source: str, region: str, severity: int
) -> bytes:
    """Return the digest of what else a disclosed revision states, beside subject, item, content
    and period: ``severity`` is a Severity's number, ``event_sequence`` the event that fixed it."""
    return sha256(
        _PARTICULARS + _fixed_by(4, revision, 8, event_sequence) + _whose(source, region, severity)
    ).digest()


def public_digest(copy: Copied, particulars: bytes) -> bytes:
    """Return the digest of a record of a public item: of all it states but subject and item,
    which its set's place tells. ``particulars`` is `particulars_digest`."""
    return sha256(
        _PUBLIC_COPY + copy_digest(copy) + _length(len(particulars)) + particulars
    ).digest()


def field_digest(salt: bytes, name: str, value: bytes) -> bytes:
    """Return the salted digest of one member of content: ``value`` in its very bytes."""
    return labelled("field", salt, name.encode(), value)


def content_commitment(salt: bytes, content_digest: bytes) -> bytes:
    """Return the salted commitment of whole content."""
    return labelled("content", salt, content_digest)


def protected_digest(
    copy: Copied, particulars: bytes, commitment: bytes, field_digests: Iterable[bytes]
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
    a, b, c, d = len(salt), len(whose), len(of), len(member)
    packed = _packed(_EVENT_FORM, a, b, c, d)
    return sha256(
        packed(_EVENT, a, salt, 1, kind, 4, revision, b, whose, c, of, d, member)
    ).digest()


def _instant(seconds: int) -> bytes:
    return seconds.to_bytes(8, "big", signed=True)
