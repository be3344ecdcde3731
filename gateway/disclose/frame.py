"""Frames: a record as it stands inside a response, byte for byte.

Every response carries records as field 1, so tag, length and message can be fixed
together at publication and a response is a plain join of stored frames.
Source: Protocol Buffers encoding, length-delimited records.
"""

from creditgate.v1.disclosed_record_pb2 import DisclosedRecord

_RECORDS = 1
_LENGTH_DELIMITED = 2


def frame(record: DisclosedRecord) -> bytes:
    """Return ``record`` as the bytes of field 1 of a response."""
    return field(_RECORDS, record.SerializeToString(deterministic=True))


def field(number: int, message: bytes) -> bytes:
    """Return a serialised message as the bytes of a field below 16 of another message."""
    length = len(message)
    prefix = bytearray((number << 3 | _LENGTH_DELIMITED,))
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + message


def framed(stored: bytes) -> bytes:
    """Return the serialised record inside a stored frame."""
    position = 1
    while stored[position] & 0x80:
        position += 1
    return stored[position + 1 :]


def unframe(stored: bytes) -> DisclosedRecord:
    """Return the record inside a stored frame."""
    return DisclosedRecord.FromString(framed(stored))
