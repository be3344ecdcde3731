"""The right edge of a log: where entries are added, and what its root is made of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, insert, select, update

from creditgate.transparency.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from creditgate.transparency.tiles import (
    TILE_LEVELS,
    TILE_WIDTH,
    bundle_of,
    hashes_of,
    partial_width,
)
from gateway.transparency.tables import BUNDLES, TILES, AnyLogId


def tile_query(log: AnyLogId, level: int, number: int) -> Select[*tuple[Any, ...]]:
    """Return the query for the hashes of one tile."""
    return select(TILES.c.hashes).where(
        TILES.c.log == log, TILES.c.level == level, TILES.c.number == number
    )


def grow(connection: Connection, log: AnyLogId, size: int, leaves: Sequence[bytes]) -> None:
    """Write entries behind the first ``size`` ones, and every hash that they complete.

    Raises ValueError for an entry longer than 65,535 bytes.
    """
    _Growing(connection, log, size).add_entries(leaves)
    grow_hashes(connection, log, size, [leaf_hash(leaf) for leaf in leaves])


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
            hashes = hashes_of(
                bytes(connection.execute(tile_query(log, level, number)).scalar_one())
            )
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
        last = and_(BUNDLES.c.log == self._log, BUNDLES.c.number == number)
        position = 0
        if within:
            position = TILE_WIDTH - within
            more = bundle_of(leaves[:position])
            before = self._connection.execute(select(BUNDLES.c.entries).where(last)).scalar_one()
            self._connection.execute(update(BUNDLES).where(last).values(entries=before + more))
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
            self._connection.execute(insert(BUNDLES), rows)

    def add_hashes(self, level: int, hashes: Sequence[bytes]) -> list[bytes]:
        """Write hashes to the tiles of a level; return the roots of the tiles now full."""
        within = partial_width(self._size, level)
        number = self._size >> (TILE_LEVELS * (level + 1))
        kept: list[bytes] = []
        if within:
            last = tile_query(self._log, level, number)
            kept = hashes_of(bytes(self._connection.execute(last).scalar_one()))
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
            self._connection.execute(
                update(TILES)
                .where(TILES.c.log == self._log, TILES.c.level == level, TILES.c.number == number)
                .values(hashes=grown["hashes"])
            )
        if rows:
            self._connection.execute(insert(TILES), rows)
        return [root_of(tile) for tile in tiles if len(tile) == TILE_WIDTH]
