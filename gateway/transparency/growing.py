"""The right edge of a log: where entries are added, and what its root is made of."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from creditgate.transparency.merkle import EMPTY_ROOT, leaf_hashes, node_hash, root_of
from creditgate.transparency.tiles import (
    TILE_LEVELS,
    TILE_WIDTH,
    bundle_of,
    hashes_of,
    partial_width,
)
from gateway.transparency.tables import BUNDLES, TILES, AnyLogId

_OWN_TILE: Final = (
    TILES.c.log == bindparam("of_log"),
    TILES.c.level == bindparam("of_level"),
    TILES.c.number == bindparam("of_number"),
)
_TILE: Final = select(TILES.c.hashes).where(*_OWN_TILE)
_GROWN_TILE: Final = update(TILES).where(*_OWN_TILE).values(hashes=bindparam("grown"))
_NEW_TILES: Final = insert(TILES)
_OWN_BUNDLE: Final = (
    BUNDLES.c.log == bindparam("of_log"),
    BUNDLES.c.number == bindparam("of_number"),
)
_BUNDLE: Final = select(BUNDLES.c.entries).where(*_OWN_BUNDLE)
_GROWN_BUNDLE: Final = update(BUNDLES).where(*_OWN_BUNDLE).values(entries=bindparam("grown"))
_NEW_BUNDLES: Final = insert(BUNDLES)


def tile_in(connection: Connection, log: AnyLogId, level: int, number: int) -> bytes | None:
    """Return the hashes of one tile, None where there is none."""
    own = {"of_log": log, "of_level": level, "of_number": number}
    hashes = connection.execute(_TILE, own).scalar()
    return None if hashes is None else bytes(hashes)


def bundle_in(connection: Connection, log: AnyLogId, number: int) -> bytes | None:
    """Return one bundle of entries, None where there is none."""
    entries = connection.execute(_BUNDLE, {"of_log": log, "of_number": number}).scalar()
    return None if entries is None else bytes(entries)


def grow(connection: Connection, log: AnyLogId, size: int, leaves: Sequence[bytes]) -> None:
    """Write entries behind the first ``size`` ones, and every hash that they complete.

    Raises ValueError for an entry longer than 65,535 bytes.
    """
    _Growing(connection, log, size).add_entries(leaves)
    grow_hashes(connection, log, size, leaf_hashes(leaves))


def grow_hashes(connection: Connection, log: AnyLogId, size: int, hashes: Sequence[bytes]) -> None:
    """Write the hashes of leaves behind the first ``size`` ones, and every hash that they
    complete."""
    growing = _Growing(connection, log, size)
    level = 0
    while hashes:
        hashes = growing.add_hashes(level, hashes)
        level += 1


def present_root(connection: Connection, log: AnyLogId, size: int) -> bytes:
    """Return the root of all entries, from the last tile of each level alone."""
    root: bytes | None = None
    level = 0
    while size >> (TILE_LEVELS * level):
        width = partial_width(size, level)
        if width:
            number = size >> (TILE_LEVELS * (level + 1))
            hashes = hashes_of(_there(tile_in(connection, log, level, number)))
            end = width
            while end:
                # The smallest whole subtree at the end of what is left.
                start = end & (end - 1)
                subtree = root_of(hashes[start:end])
                root = subtree if root is None else node_hash(subtree, root)
                end = start
        level += 1
    return EMPTY_ROOT if root is None else root


class _Growing:
    """The right edge of a log, to which entries are added in one transaction."""

    def __init__(self, connection: Connection, log: AnyLogId, size: int) -> None:
        self._connection = connection
        self._log = log
        self._size = size

    def add_entries(self, leaves: Sequence[bytes]) -> None:
        """Write entries to the bundles."""
        number, within = divmod(self._size, TILE_WIDTH)
        position = 0
        if within:
            position = TILE_WIDTH - within
            more = bundle_of(leaves[:position])
            before = _there(bundle_in(self._connection, self._log, number))
            self._connection.execute(
                _GROWN_BUNDLE,
                {"of_log": self._log, "of_number": number, "grown": before + more},
            )
            number += 1
        rows = [
            {
                "log": int(self._log),
                "number": number + count,
                "entries": bundle_of(leaves[start : start + TILE_WIDTH]),
            }
            for count, start in enumerate(range(position, len(leaves), TILE_WIDTH))
        ]
        if rows:
            self._connection.execute(_NEW_BUNDLES, rows)

    def add_hashes(self, level: int, hashes: Sequence[bytes]) -> list[bytes]:
        """Write hashes to the tiles of a level; return the roots of the tiles now full."""
        within = partial_width(self._size, level)
        number = self._size >> (TILE_LEVELS * (level + 1))
        kept: list[bytes] = []
        if within:
            kept = hashes_of(_there(tile_in(self._connection, self._log, level, number)))
        line = [*kept, *hashes]
        tiles = [line[start : start + TILE_WIDTH] for start in range(0, len(line), TILE_WIDTH)]
        rows = [
            {
                "log": int(self._log),
                "level": level,
                "number": number + count,
                "hashes": b"".join(tile),
            }
            for count, tile in enumerate(tiles)
        ]
        if kept:
            grown = rows.pop(0)
            own = {"of_log": self._log, "of_level": level, "of_number": number}
            self._connection.execute(_GROWN_TILE, {**own, "grown": grown["hashes"]})
        if rows:
            self._connection.execute(_NEW_TILES, rows)
        return [root_of(tile) for tile in tiles if len(tile) == TILE_WIDTH]


def _there(found: bytes | None) -> bytes:
    """Return what a log of this size has. Raises LookupError where the store lacks it."""
    if found is None:
        raise LookupError("the log is not whole")
    return found
