"""Signed receipts of use: what is charged together is signed by one signature. Pure, but for
the key.

Source of the format: UsageReceipt; the tree of a group is that of RFC 6962 section 2.1.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from creditgate.transparency.merkle import audit_path, leaf_hash, leaf_hashes, levels_of
from creditgate.transparency.note import Signer
from creditgate.transparency.receipts import receipt_text
from creditgate.v1.usage_log_pb2 import UsageAgain
from gateway.meter.fields import varint

_LEAF: Final = b"\x0a"
_INDEX: Final = b"\x10"
_SIZE: Final = b"\x18"
_NODE: Final = b"\x22\x20"
_KEY_ID: Final = b"\x2d"
_SIGNATURE: Final = b"\x32\x40"
_DETAIL: Final = b"\x3a"
_AGAIN: Final = b"\x42"
_AGAIN_INDEX: Final = b"\x48"
_AGAIN_NODE: Final = b"\x52\x20"
_MOST_KNOWN: Final = 1_024


class ReceiptSigner:
    """Signs the receipts of uses; any thread. The name of ``key`` is their origin."""

    def __init__(self, key: Signer) -> None:
        self._key = key
        self._origin = key.verifier.name
        # A fixed32 is little endian.
        self._key_id = _KEY_ID + key.verifier.key_id[::-1]

    def receipts(
        self,
        leaves: Sequence[bytes],
        hashes: Sequence[bytes] | None = None,
        marks: Sequence[bytes] = (),
    ) -> list[bytes]:
        """Return the receipt of each leaf, a serialised UsageReceipt without its detail; one
        leaf at least. ``hashes`` are those of the leaves, made anew where not given.

        ``marks`` are UsageAgain messages, serialised, and signed with the leaves: for each there is
        behind the receipts what it adds to that of a retry (`detailed`).
        """
        hashed = hashes or leaf_hashes(leaves)
        if marks:
            hashed = [*hashed, *leaf_hashes(marks)]
        levels = levels_of(hashed)
        (root,) = levels[-1]
        size = len(hashed)
        signature = self._key.sign(receipt_text(self._origin, size, root))
        # From the root down: the path of a node is its sibling and the path of what is above.
        paths = [self._key_id + _SIGNATURE + signature]
        for level in reversed(levels[:-1]):
            # An odd last node has gone up as it is and has no sibling.
            siblings = [_NODE + node for node in level] + [b""]
            paths = [siblings[index ^ 1] + paths[index >> 1] for index in range(len(level))]
        receipts = [
            b"".join((_head(len(leaf)), leaf, place, path))
            # The places of marks are their own fields.
            for leaf, place, path in zip(leaves, _places(size), paths, strict=False)
        ]
        for index, mark in enumerate(marks, len(leaves)):
            nodes = [_AGAIN_NODE + node for node in audit_path(levels, index)]
            place = _AGAIN_INDEX + varint(index)
            receipts.append(b"".join((_AGAIN, varint(len(mark)), mark, place, *nodes)))
        return receipts


def again(leaf: bytes, entries: bytes, records_digest: bytes, now: int) -> bytes:
    """Return the UsageAgain of a retry, serialised: that the answer charged as ``leaf`` was given
    again at ``now`` (seconds, UTC) with these ``entries``, as in the ledger."""
    return UsageAgain(
        leaf_hash=leaf_hash(leaf),
        serve_seconds=now,
        revisions_digest=sha256(entries).digest(),
        records_digest=records_digest,
    ).SerializeToString(deterministic=True)


def detailed(receipt: bytes, detail: bytes) -> bytes:
    """Return a receipt with the detail of its leaf (`gateway.meter.leaf.detail_of`), b"" for none.

    However long that is: a region believes no use of which it does not know what it charges.
    """
    return b"".join((receipt, _DETAIL, varint(len(detail)), detail)) if detail else receipt


@lru_cache(_MOST_KNOWN)
def _head(length: int) -> bytes:
    return _LEAF + varint(length)


@lru_cache(_MOST_KNOWN)
def _places(count: int) -> Sequence[bytes]:
    """Return the place of each leaf of a group, and how many there are."""
    size = _SIZE + varint(count)
    return [(_INDEX + varint(index) if index else b"") + size for index in range(count)]
