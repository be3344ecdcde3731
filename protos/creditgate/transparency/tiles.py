"""Tiles: a log's tree and entries as files that never change. Pure.

Source: C2SP tlog-tiles: tiles of 256 hashes, eight levels of the tree each; entries in
bundles of 256, each behind its length in two bytes.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid

TILE_LEVELS: Final = 8
TILE_WIDTH: Final = 1 << TILE_LEVELS
MOST_ENTRY_BYTES: Final = (1 << 16) - 1
MOST_LEVEL: Final = 63
ENTRIES: Final = "entries"
# Up to 18 digits: a greater number is no 64-bit integer, and no log is so long.
_NUMBER: Final = re.compile(
    r"(?P<groups>(?:x\d{3}/){0,5})(?P<last>\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?", re.ASCII
)
_LEVEL: Final = re.compile(r"0|[1-9]\d?", re.ASCII)


class Tile(NamedTuple):
    """One tile: ``level`` None for a bundle of entries, ``width`` of 1 to 256."""

    level: int | None
    number: int
    width: int


def tile_path(tile: Tile) -> str:
    """Return the path of a tile below the log's, as "tile/0/x001/067.p/3"."""
    digits = f"{tile.number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
    partial = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{ENTRIES if tile.level is None else tile.level}/{path}{partial}"


def parse_tile_path(path: str) -> Tile:
    """Return the tile of a path below the log's. Raises ValueError for any other writing."""
    kind, _, rest = path.removeprefix("tile/").partition("/")
    match = _NUMBER.fullmatch(rest)
    if match is None or not path.startswith("tile/"):
        raise ValueError("this is no path of a tile")
    if kind != ENTRIES and (not _LEVEL.fullmatch(kind) or int(kind) > MOST_LEVEL):
        raise ValueError("a tile's level is 0 to 63")
    number = int(match["groups"].replace("x", "").replace("/", "") + match["last"])
    width = int(match["width"] or TILE_WIDTH)
    tile = Tile(None if kind == ENTRIES else int(kind), number, width)
    if width > TILE_WIDTH or tile_path(tile) != path:
        raise ValueError("this is no path of a tile")
    return tile


def partial_width(size: int, level: int) -> int:
    """Return how wide the last tile of a level is, 0 to 255, in a tree of ``size``."""
    return (size >> (TILE_LEVELS * level)) % TILE_WIDTH


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes in a tile. Raises ProofInvalid where it is cut."""
    if len(tile) % HASH_BYTES:
        raise ProofInvalid("a tile is cut")
    return [tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES)]


def bundle_of(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle. Raises ValueError for one longer than 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MOST_ENTRY_BYTES:
            raise ValueError("a log's entry is at most 65,535 bytes")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def entries_of(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle. Raises ProofInvalid where it is cut."""
    entries: list[bytes] = []
    position, end = 0, len(bundle)
    while position < end:
        start = position + 2
        position = start + int.from_bytes(bundle[start - 2 : start], "big")
        entries.append(bundle[start:position])
    if position != end:
        raise ProofInvalid("a bundle of entries is cut")
    return entries
