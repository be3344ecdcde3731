"""Entries of answers as bytes of the log: a row of the ledger as its DecisionEntry.

The bytes are those of `DecisionEntry.SerializeToString(deterministic=True)`. They are put together
by hand from parts that recur: answers are most of the log, and each has a share of microseconds.
Source: Protocol Buffers encoding; fields in ascending order, defaults left out.
"""

from array import array
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from creditgate.transparency.decisions import DECISIONS_PREFIX
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.meter.fields import Heads, number_field, varint
from gateway.meter.licences import shares_of
from gateway.meter.region_asks import AskedFor

_NAME: Final = Heads(b"\x0a")
_SEQUENCE: Final = b"\x10"
_AT: Final = b"\x1a"
_SECONDS: Final = b"\x08"
_CONSENT: Final = Heads(b"\x62")
_REQUEST: Final = Heads(b"\x82\x01")
_PAYLOAD: Final = Heads(b"\x8a\x01")
_SERVED: Final = b"\x90\x01"
_DISCLOSED: Final = b"\x98\x01"
_USE: Final = b"\xca\x01\x20"
_PREFIX: Final = DECISIONS_PREFIX.encode()
_USAGE_LABEL: Final = b"creditgate/usage/v1\n"
_NUMBERS: Final = Struct(">qqq")
_ENTRY_BYTES: Final = 8
_MOST_KNOWN: Final = 4_096


class GroundFields(NamedTuple):
    """What recurs from one answer to the next, as fields of an entry: those on either side of the
    consent, and those on either side of what was served. Consents recur less."""

    caller: bytes
    purpose: bytes
    region: bytes
    end: bytes


@lru_cache(_MOST_KNOWN)
def ground_fields(
    client_id: str,
    operator_id: str,
    licence: str,
    purpose: int,
    asked_items: str,
    licences: str | None,
    asked: AskedFor,
) -> GroundFields:
    """Return what recurs of a row of the ledger; ``asked`` tells for whom a region asked."""
    caller = pb.DecisionEntry(
        client_id=client_id,
        operator_id=operator_id,
        outcome=pb.DECISION_OUTCOME_ALLOWED,
        licence=licence,
    )
    under_it = pb.DecisionEntry(purpose=Purpose.ValueType(purpose), asked_items=asked_items.split())
    region = pb.DecisionEntry(asking_region=asked.region)
    end = pb.DecisionEntry(
        asking_operator=asked.operator,
        asking_licence=asked.licence,
        asking_decision=asked.decision,
        licences=[share.licence for share in shares_of(licences)],
    )
    return GroundFields(
        *(each.SerializeToString(deterministic=True) for each in (caller, under_it, region, end))
    )


def answer_entry(
    index: int,
    at: int,
    decision_id: str,
    ground: GroundFields,
    consent: str,
    request_id: str,
    payload_digest: bytes,
    served_records: int,
    disclosure_sequence: int,
    use: bytes,
) -> bytes:
    """Return the entry of an answer at a place of the log; ``use`` is its `usage_digest`."""
    name, request = _PREFIX + decision_id.encode(), request_id.encode()
    under = consent.encode()
    return b"".join(
        (
            _NAME[len(name)],
            name,
            number_field(_SEQUENCE, index),
            _moment(at),
            ground.caller,
            _CONSENT[len(under)],
            under,
            ground.purpose,
            _REQUEST[len(request)],
            request,
            _PAYLOAD[len(payload_digest)],
            payload_digest,
            _found(served_records, disclosure_sequence),
            ground.region,
            _USE,
            use,
            ground.end,
        )
    )


def usage_digest(chunk: int, fee: int, entries: bytes, lines: str) -> bytes:
    """Return `DecisionEntry.usage_digest` of a row of the ledger.

    ``fee`` in micro-yuan; ``entries`` and ``lines`` as the ledger keeps them, damaged or not.
    """
    size = len(entries)
    whole = size & -_ENTRY_BYTES
    numbers = array("q", entries[:whole])
    numbers.byteswap()
    head = _USAGE_LABEL + _NUMBERS.pack(chunk, fee, size)
    return sha256(b"".join((head, numbers, entries[whole:], lines.encode()))).digest()


@lru_cache(_MOST_KNOWN)
def _moment(at: int) -> bytes:
    seconds = number_field(_SECONDS, at)
    return _AT + varint(len(seconds)) + seconds


@lru_cache(_MOST_KNOWN)
def _found(served_records: int, disclosure_sequence: int) -> bytes:
    return number_field(_SERVED, served_records) + number_field(_DISCLOSED, disclosure_sequence)
