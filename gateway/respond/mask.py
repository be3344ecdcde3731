"""Cutting a record's content to the fields a consent opens. Pure.

Each member keeps the very bytes disclosed (guarantee G1), and what is left of them, in their
order, is canonical again (RFC 8785).
"""

from hashlib import sha256

from creditgate.transparency.content import members_of, object_of
from gateway.disclose.frame import frame, unframe


def cut_digest(stored: bytes, names: frozenset[str]) -> bytes:
    """Return the digest of a stored frame's content cut to ``names``, as `masked` has it."""
    return sha256(_cut(unframe(stored).content.decode(), names).encode()).digest()


def masked(stored: bytes, names: tuple[str, ...]) -> bytes:
    """Return a stored frame with its record's content cut to ``names``.

    The digest becomes that of what is left: one of the whole would let who knows some
    fields guess the others.
    """
    record = unframe(stored)
    record.content = _cut(record.content.decode(), frozenset(names)).encode()
    record.content_digest = sha256(record.content).digest()
    record.served_fields[:] = names
    return frame(record)


def _cut(content: str, names: frozenset[str]) -> str:
    return object_of([member for member in members_of(content) if member.name in names])
