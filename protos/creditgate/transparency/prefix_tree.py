"""The disclosure map's trees: how they are hashed, and what a path in one proves. Pure.

A tree holds leaves by keys of 32 bytes. A key's bits, the most significant first, lead from
the root down; its leaf stands where the way is first its alone, so the shape follows from
the keys, and a tree has one root whatever became of it before. What has no leaves is `EMPTY`.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid
from creditgate.v1.disclosure_proof_pb2 import MapPath

EMPTY: Final = bytes(HASH_BYTES)
"""What stands for a tree, or a part of one, without leaves."""
KEY_BITS: Final = 256


def map_leaf_hash(key: bytes, value: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x02" + key + value).digest()


def map_leaf_hashes(leaves: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the hashes of leaves, given the key and value of each."""
    return [sha256(b"\x02" + key + value).digest() for key, value in leaves]


def map_node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node above two leaves or more, given those of its halves."""
    return sha256(b"\x03" + left + right).digest()


def bit(key: bytes, depth: int) -> int:
    """Return the bit of ``key`` that tells the way at ``depth``, from 0 at the root."""
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def path_root(key: bytes, value: bytes | None, path: MapPath) -> bytes:
    """Return the root of the tree in which ``path`` proves that ``key`` has ``value``, or
    with None that it has no leaf.

    Raises ProofInvalid where the path is not of that form. Each fact has one path and each
    path one form, so that no byte of it may be another.
    """
    _require_hashes(key, *path.siblings)
    if value is not None:
        _require_hashes(value)
        if path.absent or path.other_key or path.other_value:
            raise ProofInvalid("the path is of a key without a leaf")
        lone, node = True, map_leaf_hash(key, value)
    elif path.absent:
        if path.other_key or path.other_value:
            raise ProofInvalid("the path tells of a leaf where nothing stands")
        lone, node = False, EMPTY
    else:
        _require_hashes(path.other_key, path.other_value)
        _require_same_way(key, path.other_key, path.depth)
        lone, node = True, map_leaf_hash(path.other_key, path.other_value)
    siblings = _siblings(path)
    if siblings and lone and siblings[-1] == EMPTY:
        raise ProofInvalid("the leaf stands deeper than where it is alone")
    for depth in range(path.depth - 1, -1, -1):
        sibling = siblings[depth]
        if node == sibling == EMPTY:
            raise ProofInvalid("the path goes on where nothing stands")
        node = map_node_hash(sibling, node) if bit(key, depth) else map_node_hash(node, sibling)
    return node


def _siblings(path: MapPath) -> list[bytes]:
    """Return the sibling at each depth."""
    depth = path.depth
    if not 0 <= depth <= KEY_BITS or len(path.sibling_bits) != (depth + 7) // 8:
        raise ProofInvalid("the path's depth is not that of its bits")
    given = iter(path.siblings)
    siblings = [
        next(given, EMPTY) if bit(path.sibling_bits, level) else EMPTY for level in range(depth)
    ]
    set_bits = int.from_bytes(path.sibling_bits, "big").bit_count()
    unused = -depth % 8
    stray = path.sibling_bits[-1] & ((1 << unused) - 1) if unused else 0
    if set_bits != len(path.siblings) or stray or EMPTY in path.siblings:
        raise ProofInvalid("the path's siblings are not those of its bits")
    return siblings


def _require_same_way(key: bytes, other: bytes, depth: int) -> None:
    if key == other:
        raise ProofInvalid("the key has a leaf")
    if not 0 <= depth <= KEY_BITS:
        raise ProofInvalid("the path's depth is not that of its bits")
    apart = KEY_BITS - (int.from_bytes(key, "big") ^ int.from_bytes(other, "big")).bit_length()
    if apart < depth:
        raise ProofInvalid("the other leaf does not stand in the key's place")


def _require_hashes(*hashes: Sequence[int]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofInvalid("a hash of the path is not of 32 bytes")
