"""Fields of protobuf messages, put together by hand: for the few kinds of message of which there
is one for each call. Pure.

Source: Protocol Buffers encoding; whoever uses it writes fields in ascending order and leaves
out defaults, as `SerializeToString(deterministic=True)` does.
"""

from typing import Final

_BYTES: Final = tuple(bytes((number,)) for number in range(256))
_MOST_KEPT: Final = 4_096


def varint(number: int) -> bytes:
    """Return a number as protobuf has it, negative ones in 64 bits."""
    if 0 <= number < 0x80:
        return _BYTES[number]
    if 0 <= number < 1 << 14:
        return bytes((number & 0x7F | 0x80, number >> 7))
    if 0 <= number < 1 << 21:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    number &= 0xFFFF_FFFF_FFFF_FFFF
    parts: list[int] = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


class Heads(dict[int, bytes]):
    """Tag and length of a field, by the length; nothing of an empty one."""

    def __init__(self, tag: bytes) -> None:
        super().__init__({0: b""})
        self._tag = tag

    def __missing__(self, length: int) -> bytes:
        head = self._tag + varint(length)
        if length <= _MOST_KEPT:
            self[length] = head
        return head


def number_field(tag: bytes, number: int) -> bytes:
    """Return a number as a field; ``tag`` is of wire type 0."""
    return tag + varint(number) if number else b""


def bytes_field(tag: bytes, content: bytes) -> bytes:
    """Return bytes as a field; ``tag`` is of wire type 2."""
    return tag + varint(len(content)) + content if content else b""
