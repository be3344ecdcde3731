"""Cutting a record's content to the fields a consent opens. Pure.

Each member keeps the very bytes disclosed (guarantee G1): canonical content (RFC 8785) has
no blanks, so its members are found by their ends, and what is left of them, in their order,
is canonical again.
"""

from collections.abc import Iterator
from hashlib import sha256
from json import JSONDecoder
from typing import Final

from gateway.disclose.frame import frame, unframe

_DECODER: Final = JSONDecoder()


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
    members = [member for name, member in _members(content) if name in names]
    return "{" + ",".join(members) + "}"


def _members(content: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each member of a canonical object."""
    if content == "{}":
        return
    end = 0
    while content[end] != "}":
        start = end + 1
        name, colon = _DECODER.raw_decode(content, start)
        _, end = _DECODER.raw_decode(content, colon + 1)
        yield name, content[start:end]
