"""Signed receipts of use: what is charged together is signed by one signature. Pure, but for
the key.

Source of the format: UsageReceipt; the tree of a group is that of RFC 6962 section 2.1.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from creditgate.transparency.merkle import leaf_hash, levels_of
from creditgate.transparency.note import Signer
from creditgate.transparency.receipts import receipt_text
from gateway.meter.fields import varint

_LEAF: Final = b"\x0a"
_INDEX: Final = b"\x10"
_SIZE: Final = b"\x18"
_NODE: Final = b"\x22\x20"
_KEY_ID: Final = b"\x2d"
_SIGNATURE: Final = b"\x32\x40"
_DETAIL: Final = b"\x3a"
MOST_TOLD_BYTES: Final = 32_768
"""Longer details are not a part of receipts."""
_MOST_KNOWN: Final = 1_024


class ReceiptSigner:
    """Signs the receipts of uses; any thread. The name of ``key`` is their origin."""

    def __init__(self, key: Signer) -> None:
        self._key = key
        self._origin = key.verifier.name
        # A fixed32 is little endian.
        self._key_id = _KEY_ID + key.verifier.key_id[::-1]

    def receipts(
        self, leaves: Sequence[bytes], hashes: Sequence[bytes] | None = None
    ) -> list[bytes]:
        """Return the receipt of each leaf, a serialised UsageReceipt without its detail; one
        leaf at least. ``hashes`` are those of the leaves, made anew where not given."""
        levels = levels_of(hashes or [leaf_hash(leaf) for leaf in leaves])
        (root,) = levels[-1]
        signature = self._key.sign(receipt_text(self._origin, len(leaves), root))
        # From the root down: the path of a node is its sibling and the path of what is above.
        paths = [self._key_id + _SIGNATURE + signature]
        for level in reversed(levels[:-1]):
            # An odd last node has gone up as it is and has no sibling.
            siblings = [_NODE + node for node in level] + [b""]
            paths = [siblings[index ^ 1] + paths[index >> 1] for index in range(len(level))]
        return [
            b"".join((_head(len(leaf)), leaf, place, path))
            for leaf, place, path in zip(leaves, _places(len(leaves)), paths, strict=True)
        ]


def detailed(receipt: bytes, detail: bytes) -> bytes:
    """Return a receipt with the detail of its leaf (`gateway.meter.leaf.detail_of`)."""
    if not 0 < len(detail) <= MOST_TOLD_BYTES:
        return receipt
    return b"".join((receipt, _DETAIL, varint(len(detail)), detail))


@lru_cache(_MOST_KNOWN)
def _head(length: int) -> bytes:
    return _LEAF + varint(length)


@lru_cache(_MOST_KNOWN)
def _places(count: int) -> Sequence[bytes]:
    """Return the place of each leaf of a group, and how many there are."""
    size = _SIZE + varint(count)
    return [(_INDEX + varint(index) if index else b"") + size for index in range(count)]
