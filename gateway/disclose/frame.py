"""Frames: a record as it stands inside a response, byte for byte.

Every response carries records as field 1, so tag, length and message can be fixed
together at publication and a response is a plain join of stored frames.
Source: Protocol Buffers encoding, length-delimited records.
"""

from typing import Final

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord

_TAG: Final = b"\x0a"


def frame(record: DisclosedRecord) -> bytes:
    """Return ``record`` as the bytes of field 1 of a response."""
    message = record.SerializeToString(deterministic=True)
    length = len(message)
    prefix = bytearray(_TAG)
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + message


def unframe(stored: bytes) -> DisclosedRecord:
    """Return the record inside a stored frame."""
    position = 1
    while stored[position] & 0x80:
        position += 1
    return DisclosedRecord.FromString(stored[position + 1 :])
