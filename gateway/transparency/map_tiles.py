"""Tiles: how a tree of the disclosure map is kept, four levels a row. Pure.

A part of the tree with few leaves is one bucket of them; a part with more is a branch: the
hashes four levels below, each of a tile of its own. How a tree is cut into tiles says nothing
of its root (`creditgate.transparency.prefix_tree`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Self

from creditgate.transparency.prefix_tree import (
    EMPTY,
    KEY_BITS,
    bit,
    map_leaf_hashes,
    map_node_hash,
)

LEVELS: Final = 4
"""Levels of a branch."""
WIDTH: Final = 1 << LEVELS
MOST_LEAVES: Final = 32
"""Leaves of a bucket; with more it becomes a branch."""
DEEPEST: Final = 14
"""Branches above one another: a bucket below them takes any number of leaves."""
ROOT: Final = 1
"""Place of the tile at the root. Places count as in a heap of sixteen children each."""
_HASH: Final = 32
_BUCKET: Final = 0
_BRANCH: Final = 1
_LEAF: Final = 2 * _HASH
_ALONE: Final = 0
"""Where a leaf alone is said to stand: at the root, above which nothing is."""


class MapDamaged(RuntimeError):
    """What is kept of the disclosure map is not what its head commits to."""

    def __init__(self) -> None:
        super().__init__("the disclosure map is damaged; `creditgate log check` tells where")


Leaf = tuple[bytes, bytes]
"""A key and its value, 32 bytes each."""


class Top(NamedTuple):
    """What stands at the top of a tile: its hash, and whether that is a leaf's."""

    digest: bytes
    lone: bool


NOTHING: Final = Top(EMPTY, False)


class Bucket:
    """Leaves in order of their keys. Immutable; roots are worked out once."""

    __slots__ = ("_roots", "leaves")

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = leaves
        self._roots: dict[tuple[int, int, int], bytes] = {}

    def root(self, start: int, end: int, depth: int) -> bytes:
        """Return the root at ``depth`` of the leaves from ``start`` to before ``end``, which
        are all that stand there."""
        part = start, end, depth
        root = self._roots.get(part)
        if root is None:
            root = self._roots[part] = subtree_root(self.leaves[start:end], depth)
        return root

    def top(self, depth: int) -> Top:
        """Return what stands at the top, where the bucket stands at ``depth``."""
        return Top(self.root(0, len(self.leaves), depth), len(self.leaves) == 1)

    def encoded(self) -> bytes:
        """Return the bucket as it is kept."""
        return bytes((_BUCKET,)) + b"".join(key + value for key, value in self.leaves)


class Branch:
    """The nodes of four levels, in a heap: 1 is the top, 16 to 31 are the slots below.

    Bit i of ``lone`` is set where node i is a leaf's hash: that leaf stands there, and is
    kept in a tile further down. Immutable.
    """

    __slots__ = ("lone", "nodes")

    def __init__(self, hashes: Sequence[bytes], lone: int) -> None:
        """``hashes`` are of what stands in the slots, bit i of ``lone`` is slot i's."""
        nodes = [EMPTY] * WIDTH
        nodes += hashes
        lone <<= WIDTH
        for index in range(WIDTH - 1, 0, -1):
            left, right = nodes[2 * index : 2 * index + 2]
            if EMPTY in (left, right):
                filled = 2 * index + (left == EMPTY)
                if nodes[filled] == EMPTY:
                    continue
                if lone >> filled & 1:
                    nodes[index], lone = nodes[filled], lone | 1 << index
                    continue
            nodes[index] = map_node_hash(left, right)
        self.nodes = nodes
        self.lone = lone

    @classmethod
    def above(cls, tops: Sequence[Top]) -> Self:
        """Return the branch above what stands in its slots."""
        lone = sum(top.lone << slot for slot, top in enumerate(tops))
        return cls([top.digest for top in tops], lone)

    def top(self, depth: int = 0) -> Top:
        """Return what stands at the top, at whatever depth."""
        del depth
        return self.node(1)

    def node(self, index: int) -> Top:
        """Return what stands at a node."""
        return Top(self.nodes[index], bool(self.lone >> index & 1))

    def slots(self) -> tuple[list[bytes], int]:
        """Return the hashes of what stands in the slots, and the bits of those that are
        leaves alone."""
        return self.nodes[WIDTH:], self.lone >> WIDTH

    def encoded(self) -> bytes:
        """Return the branch as it is kept: which slots are filled, which of them by a leaf
        alone, and the hashes of those filled."""
        filled = [slot for slot in range(WIDTH) if self.nodes[WIDTH + slot] != EMPTY]
        present = sum(1 << slot for slot in filled)
        # An empty slot holds no leaf: a tile kept that says so is not this one.
        lone = self.lone >> WIDTH & present
        return (
            bytes((_BRANCH,))
            + present.to_bytes(2, "big")
            + lone.to_bytes(2, "big")
            + b"".join(self.nodes[WIDTH + slot] for slot in filled)
        )


Tile = Bucket | Branch


def decoded(kept: bytes) -> Tile:
    """Return a tile as it was kept.

    Raises MapDamaged for bytes that no tile is kept as.
    """
    tile = _branch(kept) if kept[:1] == bytes((_BRANCH,)) else _bucket(kept)
    if tile.encoded() != kept:
        raise MapDamaged
    return tile


def subtree_root(leaves: Sequence[Leaf], depth: int) -> bytes:
    """Return the root at ``depth`` of the leaves of one part of the tree, in order."""
    if not leaves:
        return EMPTY
    hashes = map_leaf_hashes(leaves)
    node, at, key = hashes[0], _ALONE, leaves[0][0]
    number = int.from_bytes(key, "big")
    # What stands to the left of the node at hand, each with the depth where the two part.
    before: list[tuple[bytes, int]] = []
    for (following, _), leaf in zip(leaves[1:], hashes[1:], strict=True):
        differing, number = number, int.from_bytes(following, "big")
        apart = KEY_BITS - (differing ^ number).bit_length()
        while before and before[-1][1] > apart:
            left, above = before.pop()
            node, at = map_node_hash(left, _raised(node, at, above + 1, key)), above
        before.append((_raised(node, at, apart + 1, key), apart))
        node, at, key = leaf, _ALONE, following
    while before:
        left, above = before.pop()
        node, at = map_node_hash(left, _raised(node, at, above + 1, key)), above
    return _raised(node, at, depth, key)


def _raised(node: bytes, at: int, depth: int, key: bytes) -> bytes:
    """Return what stands at ``depth`` above a node that stands at ``at``, where nothing else
    does; a leaf alone stands anywhere."""
    for level in range(at - 1, depth - 1, -1):
        node = map_node_hash(EMPTY, node) if bit(key, level) else map_node_hash(node, EMPTY)
    return node


def split(leaves: Sequence[Leaf], depth: int, start: int = 0, end: int | None = None) -> int:
    """Return where, of the leaves from ``start`` to before ``end``, in order, those begin that
    go to the right at ``depth``."""
    byte, mask = depth >> 3, 0x80 >> (depth & 7)
    end = len(leaves) if end is None else end
    for index in range(start, end):
        if leaves[index][0][byte] & mask:
            return index
    return end


def nibble(key: bytes, level: int) -> int:
    """Return which slot of a branch a key goes to; ``level`` counts the branches above."""
    byte = key[level >> 1]
    return byte & 0x0F if level & 1 else byte >> 4


def _bucket(kept: bytes) -> Bucket:
    if len(kept) % _LEAF != 1:
        raise MapDamaged
    leaves = [
        (kept[start : start + _HASH], kept[start + _HASH : start + _LEAF])
        for start in range(1, len(kept), _LEAF)
    ]
    if any(left >= right for left, right in pairwise(leaves)):
        raise MapDamaged
    return Bucket(leaves)


def _branch(kept: bytes) -> Branch:
    present = int.from_bytes(kept[1:3], "big")
    hashes: list[bytes] = []
    at = 5
    for slot in range(WIDTH):
        if present >> slot & 1:
            hashes.append(kept[at : at + _HASH])
            at += _HASH
        else:
            hashes.append(EMPTY)
    return Branch(hashes, int.from_bytes(kept[3:5], "big"))
