"""The receipt of an answer as bytes: one is made for each call.

The bytes are those of `Receipt.SerializeToString(deterministic=True)`, put together by hand from
parts that recur. Source: Protocol Buffers encoding; fields in ascending order, defaults left out.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from gateway.disclose.tables import NO_END
from gateway.meter.fields import Heads, number_field, varint

_DECISION: Final = Heads(b"\x0a")
_SERVED_AT: Final = b"\x12"
_USABLE_UNTIL: Final = b"\x1a"
_DISCLOSED: Final = b"\x20"
_CHARGED: Final = b"\x28"
_FEE: Final = b"\x30"
_REPLAYED: Final = b"\x38\x01"
_USAGE: Final = Heads(b"\x42")
_FIRST_SERVED_AT: Final = b"\x4a"
_SECONDS: Final = b"\x08"
_MOST_KNOWN: Final = 1_024


class Served(NamedTuple):
    """What a receipt states; times in seconds UTC, fee in micro-yuan. ``usage`` is the signed
    receipt of the use, a serialised UsageReceipt. ``first_served_at`` is None but for a retry."""

    decision_id: str
    served_at: int
    usable_until: int
    disclosure_sequence: int
    charged_entries: int
    fee: int
    replayed: bool
    usage: bytes
    first_served_at: int | None = None

    def uncharged(self) -> "Served":
        """Return the same for a part that does not carry the charge."""
        return self._replace(charged_entries=0, fee=0, usage=b"")


def receipt_bytes(served: Served) -> bytes:
    """Return the serialised Receipt."""
    decision_id, served_at, until, head, entries, fee, replayed, usage, first = served
    decision = decision_id.encode()
    return b"".join(
        (
            _DECISION[len(decision)],
            decision,
            _moment(_SERVED_AT, served_at),
            b"" if until == NO_END else _moment(_USABLE_UNTIL, until),
            _charge(head, entries, fee),
            _REPLAYED if replayed else b"",
            _USAGE[len(usage)],
            usage,
            b"" if first is None else _moment(_FIRST_SERVED_AT, first),
        )
    )


@lru_cache(_MOST_KNOWN)
def _moment(tag: bytes, at: int) -> bytes:
    seconds = number_field(_SECONDS, at)
    return tag + varint(len(seconds)) + seconds


@lru_cache(_MOST_KNOWN)
def _charge(head: int, entries: int, fee: int) -> bytes:
    return (
        number_field(_DISCLOSED, head) + number_field(_CHARGED, entries) + number_field(_FEE, fee)
    )
