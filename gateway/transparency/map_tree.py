"""A tree of the disclosure map over kept tiles: changed by the thousand, and read. Pure.

What is read and written are tiles by place; where they are kept is the caller's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from creditgate.transparency.prefix_tree import EMPTY, bit, map_leaf_hash
from creditgate.v1.disclosure_proof_pb2 import MapPath
from gateway.transparency.map_tiles import (
    DEEPEST,
    LEVELS,
    MOST_LEAVES,
    NOTHING,
    ROOT,
    WIDTH,
    Branch,
    Bucket,
    Leaf,
    MapDamaged,
    Tile,
    Top,
    decoded,
    nibble,
    split,
)

Load = Callable[[Collection[int]], Mapping[int, bytes]]
"""Gives the tiles kept at some places; places without one are left out."""


class Changed(NamedTuple):
    """A tree after changes: its root, and the tiles to keep, None for those to forget."""

    root: bytes
    tiles: dict[int, bytes | None]


def changed(load: Load, root: bytes, changes: Mapping[bytes, bytes | None]) -> Changed:
    """Return the tree of ``root`` after each key of ``changes`` has its value, or no leaf
    with None.

    Reads one batch of tiles a level. Raises MapDamaged where a tile is not of that tree.
    """
    return _Change(load, root, changes).made()


class _Change:
    """Tiles are believed only where the root, or the tile above, says what they are: what
    was altered in the store is not built upon."""

    def __init__(self, load: Load, root: bytes, changes: Mapping[bytes, bytes | None]) -> None:
        self._changes = changes
        self._before: dict[int, Tile] = {}
        self._below: dict[int, dict[int, list[bytes]]] = {}
        self._tiles: dict[int, bytes | None] = {}
        asked, expected, level = {ROOT: sorted(changes)}, {ROOT: root}, 0
        while asked:
            asked, expected = self._gather(load, asked, expected, level)
            level += 1

    def _gather(
        self, load: Load, asked: dict[int, list[bytes]], expected: dict[int, bytes], level: int
    ) -> tuple[dict[int, list[bytes]], dict[int, bytes]]:
        """Read the tiles of one level; return what to ask of the next, and their hashes."""
        following: dict[int, list[bytes]] = {}
        hashes: dict[int, bytes] = {}
        kept = load(asked)
        for place, keys in asked.items():
            if place not in kept:
                if expected[place] != EMPTY:
                    raise MapDamaged
                continue
            tile = self._before[place] = decoded(kept[place])
            if tile.top(level * LEVELS).digest != expected[place]:
                raise MapDamaged
            if isinstance(tile, Branch):
                below: dict[int, list[bytes]] = {}
                for key in keys:
                    below.setdefault(nibble(key, level), []).append(key)
                self._below[place] = below
                for slot, some in below.items():
                    following[place * WIDTH + slot] = some
                    hashes[place * WIDTH + slot] = tile.nodes[WIDTH + slot]
        return following, hashes

    def made(self) -> Changed:
        top = self._change(ROOT, 0, sorted(self._changes))
        return Changed(top.digest, self._tiles)

    def _change(self, place: int, level: int, keys: Iterable[bytes]) -> Top:
        tile = self._before.get(place)
        if isinstance(tile, Branch):
            return self._change_branch(place, level, tile)
        leaves = dict(tile.leaves) if tile else {}
        for key in keys:
            value = self._changes[key]
            if value is None:
                leaves.pop(key, None)
            else:
                leaves[key] = value
        if tile and not leaves:
            self._tiles[place] = None
        return self._keep(sorted(leaves.items()), place, level)

    def _change_branch(self, place: int, level: int, tile: Branch) -> Top:
        hashes, lone = tile.slots()
        for slot, keys in self._below[place].items():
            top = self._change(place * WIDTH + slot, level + 1, keys)
            hashes[slot] = top.digest
            lone = lone & ~(1 << slot) | top.lone << slot
        return self._keep_branch(Branch(hashes, lone), place)

    def _keep(self, leaves: list[Leaf], place: int, level: int) -> Top:
        """Keep leaves where nothing else is, as a bucket or as a branch above others."""
        if not leaves:
            return NOTHING
        if len(leaves) <= MOST_LEAVES or level == DEEPEST:
            bucket = Bucket(leaves)
            self._tiles[place] = bucket.encoded()
            return bucket.top(level * LEVELS)
        below: list[list[Leaf]] = [[] for _ in range(WIDTH)]
        for leaf in leaves:
            below[nibble(leaf[0], level)].append(leaf)
        tops = [
            self._keep(some, place * WIDTH + slot, level + 1) for slot, some in enumerate(below)
        ]
        return self._keep_branch(Branch.above(tops), place)

    def _keep_branch(self, branch: Branch, place: int) -> Top:
        top = branch.top()
        self._tiles[place] = None if top == NOTHING else branch.encoded()
        return top


Tiles = Callable[[int], Tile | None]
"""Gives the tile at a place, or None."""


class Found(NamedTuple):
    """What a tree has of a key: its value, None without a leaf, and the path that proves it."""

    value: bytes | None
    path: MapPath


def find(tiles: Tiles, key: bytes, root: bytes) -> Found:
    """Return what the tree of ``root`` has of ``key``.

    Raises MapDamaged where a tile on the way is not that of the tree.
    """
    siblings: list[bytes] = []
    place, level, expected = ROOT, 0, Top(root, False)
    while root != EMPTY:
        tile = tiles(place)
        if tile is None:
            raise MapDamaged
        if isinstance(tile, Bucket):
            return _found_in_bucket(tile, key, level * LEVELS, siblings, expected.digest)
        if tile.nodes[1] != expected.digest:
            raise MapDamaged
        index = 1
        slot = nibble(key, level)
        for shift in range(LEVELS - 1, -1, -1):
            if tile.nodes[index] == EMPTY or tile.lone >> index & 1:
                break
            index = 2 * index + (slot >> shift & 1)
            siblings.append(tile.nodes[index ^ 1])
        expected = tile.node(index)
        if expected.digest == EMPTY:
            break
        if expected.lone:
            return _found_leaf(key, _leaf_below(tiles, tile, place, index), siblings)
        place, level = place * WIDTH + slot, level + 1
    return Found(None, _path(siblings, absent=True))


def _found_in_bucket(
    bucket: Bucket, key: bytes, depth: int, above: list[bytes], expected: bytes
) -> Found:
    leaves = bucket.leaves
    if bucket.root(0, len(leaves), depth) != expected:
        raise MapDamaged
    start, end = 0, len(leaves)
    while end - start > 1:
        at = split(leaves, depth, start, end)
        depth += 1
        if bit(key, depth - 1):
            above.append(bucket.root(start, at, depth))
            start = at
        else:
            above.append(bucket.root(at, end, depth))
            end = at
    if start == end:
        return Found(None, _path(above, absent=True))
    return _found_leaf(key, leaves[start], above)


def _found_leaf(key: bytes, leaf: Leaf, siblings: list[bytes]) -> Found:
    # Deeper than where it is alone: a branch was altered in what no hash covers, and built on.
    if siblings and siblings[-1] == EMPTY:
        raise MapDamaged
    path = _path(siblings)
    if leaf[0] == key:
        return Found(leaf[1], path)
    path.other_key, path.other_value = leaf
    return Found(None, path)


def _leaf_below(tiles: Tiles, branch: Branch, place: int, index: int) -> Leaf:
    """Return the leaf that stands at a node of a branch, from wherever it is kept."""
    digest = branch.nodes[index]
    while True:
        while index < WIDTH:
            index = 2 * index + (branch.nodes[2 * index] == EMPTY)
        place = place * WIDTH + index - WIDTH
        tile = tiles(place)
        if isinstance(tile, Branch):
            branch, index = tile, 1
        elif tile and len(tile.leaves) == 1 and map_leaf_hash(*tile.leaves[0]) == digest:
            return tile.leaves[0]
        else:
            raise MapDamaged


def _path(siblings: list[bytes], *, absent: bool = False) -> MapPath:
    bits = 0
    for sibling in siblings:
        bits = bits << 1 | (sibling != EMPTY)
    depth = len(siblings)
    size = (depth + 7) // 8
    return MapPath(
        sibling_bits=(bits << (8 * size - depth)).to_bytes(size, "big"),
        depth=depth,
        siblings=[sibling for sibling in siblings if sibling != EMPTY],
        absent=absent,
    )
