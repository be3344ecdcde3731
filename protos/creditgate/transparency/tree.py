"""Proofs out of a tree of tiles: which nodes each holds, and how they are hashed together.

Source: RFC 6962 sections 2.1.1 and 2.1.2.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

from creditgate.transparency.merkle import EMPTY_ROOT, node_hash
from creditgate.transparency.tiles import TILE_LEVELS, TILE_WIDTH, hashes_of

MOST_TILES: Final = 1_024
"""Most tiles that are remembered, unless said otherwise."""

ReadTile = Callable[[int, int], bytes]
"""Returns the hashes of a tile, given its level and number. Raises LookupError."""


class Subtrees:
    """The hashed tiles a process has read lately, of one log; any thread.

    What is full never changes; of one that grows, what is hashed already does not either.
    """

    def __init__(self, most: int = MOST_TILES) -> None:
        self._most = most
        self._known: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()
        self._changing = Lock()

    def node(self, level: int, number: int, read: ReadTile) -> bytes:
        """Return the hash of a whole subtree: the ``number``-th of 2**level leaves."""
        tile_level, height = divmod(level, TILE_LEVELS)
        first = number << height
        key = (tile_level, first >> TILE_LEVELS)
        place = (first % TILE_WIDTH) >> height
        with self._changing:
            levels = self._known.get(key)
            if levels is not None:
                self._known.move_to_end(key)
        if levels is None or place >= len(levels[height]):
            levels = _hashed(hashes_of(read(*key)))
            with self._changing:
                self._known[key] = levels
                if len(self._known) > self._most:
                    self._known.popitem(last=False)
        return levels[height][place]

    def root(self, start: int, end: int, read: ReadTile) -> bytes:
        """Return the root over the leaves from ``start`` to before ``end``; ``start`` is
        where such a subtree can begin."""
        if start == end:
            return EMPTY_ROOT
        roots: list[bytes] = []
        while start < end:
            level = (end - start).bit_length() - 1
            roots.append(self.node(level, start >> level, read))
            start += 1 << level
        root = roots.pop()
        while roots:
            root = node_hash(roots.pop(), root)
        return root

    def inclusion(self, index: int, size: int, read: ReadTile) -> list[bytes]:
        """Return the audit path of a leaf in the tree of ``size``, leaf to root."""
        return [self.root(start, end, read) for start, end in _siblings(index, size)]

    def consistency(self, first: int, second: int, read: ReadTile) -> list[bytes]:
        """Return the proof that the tree of ``second`` begins with that of ``first``."""
        return [self.root(start, end, read) for start, end in _between(first, second)]


def _hashed(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return every level of a tile whose nodes are whole."""
    levels = [list(hashes)]
    while len(levels) <= TILE_LEVELS:
        below = levels[-1]
        levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return levels


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves beside the way up from one (RFC 6962 section 2.1.1)."""
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _between(first: int, second: int) -> list[tuple[int, int]]:
    """Return the ranges of a consistency proof (RFC 6962 section 2.1.2, SUBPROOF)."""
    if not 0 < first < second:
        return []
    ranges: list[tuple[int, int]] = []
    start, end = 0, second
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def _split(leaves: int) -> int:
    """Return the largest power of two below ``leaves``."""
    return 1 << ((leaves - 1).bit_length() - 1)
