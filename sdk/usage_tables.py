"""The file of a receipt book: its tables, and the Merkle tree of the leaves in it."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.engine import URL

from creditgate.transparency.merkle import HASH_BYTES, leaf_hash, root_of
from creditgate.transparency.tiles import TILE_WIDTH, hashes_of
from creditgate.transparency.tree import Subtrees

METADATA: Final = MetaData()
OWNER: Final = Table(
    "owner",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("key", Text, nullable=False),
)
# Notes by which keys of receipts name the next; and keys that were pinned by hand after the first.
LINKS: Final = Table(
    "links",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("note", Text, nullable=False, unique=True),
)
PINS: Final = Table(
    "pins",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
)
# Receipts by keys that are not known yet, unverified.
ASIDE: Final = Table(
    "aside",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("receipt", LargeBinary, nullable=False, unique=True),
)
# More than one leaf for a place only where the gateway contradicts itself.
RECEIPTS: Final = Table(
    "receipts",
    METADATA,
    Column("usage_index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary(HASH_BYTES), primary_key=True),
    Column("receipt", LargeBinary, nullable=False),
)
# Of these, receipts that promise nothing and are evidence alone: what came was not what they charge,
# or their request cannot have been charged before.
DOUBTED: Final = Table(
    "doubted",
    METADATA,
    Column("usage_index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary(HASH_BYTES), primary_key=True),
)
# Those behind the newest checkpoint have come and are yet to be verified.
LEAVES: Final = Table(
    "leaves",
    METADATA,
    Column("usage_index", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Integer, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("serve_seconds", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_leaves_request", "request_id", "chunk", "usage_index"),
    Index("ix_leaves_served", "serve_seconds"),
)
# Full tiles alone (C2SP tlog-tiles): they never change.
TILES: Final = Table(
    "tiles",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
# How far the operator has agreed with its log, and when it last did, or tried to; one row, none
# before the first.
AGREED: Final = Table(
    "agreed",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
# Requests that were sent: when first (seconds, UTC), and how often.
SENT: Final = Table(
    "sent",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
)
LATER: Final = (AGREED, LINKS, PINS, ASIDE, SENT, DOUBTED)
"""Tables that older books have not got yet."""
_WAIT_SECONDS: Final = 30
_FULL_BYTES: Final = HASH_BYTES * TILE_WIDTH


def open_file(file: Path) -> Engine:
    """Open a book's file: what is written is durable before a call returns."""
    url = URL.create("sqlite", database=str(file.absolute()))
    engine = create_engine(url, connect_args={"timeout": _WAIT_SECONDS})
    event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


class LeafTree:
    """The Merkle tree of a book's leaves; keeps the full tiles it comes by."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._subtrees = Subtrees()

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves."""
        return self._subtrees.root(0, size, self._tile)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of a leaf in the tree of ``size``, leaf to root."""
        return self._subtrees.inclusion(index, size, self._tile)

    def _tile(self, level: int, number: int) -> bytes:
        kept = self._connection.execute(
            select(TILES.c.hashes).where(TILES.c.level == level, TILES.c.number == number)
        ).scalar()
        if kept is not None:
            return kept
        hashes = b"".join(self._above(level, number) if level else self._hashes(number))
        if len(hashes) == _FULL_BYTES:
            row = {"level": level, "number": number, "hashes": hashes}
            self._connection.execute(insert(TILES).values(row))
        return hashes

    def _hashes(self, number: int) -> list[bytes]:
        first = number * TILE_WIDTH
        within = LEAVES.c.usage_index.between(first, first + TILE_WIDTH - 1)
        query = select(LEAVES.c.leaf).where(within).order_by(LEAVES.c.usage_index)
        return [leaf_hash(leaf) for leaf in self._connection.execute(query).scalars()]

    def _above(self, level: int, number: int) -> Generator[bytes]:
        """Yield the root of each full tile that a tile stands above."""
        first = number * TILE_WIDTH
        for child in range(first, first + TILE_WIDTH):
            hashes = self._tile(level - 1, child)
            if len(hashes) < _FULL_BYTES:
                return
            yield root_of(hashes_of(hashes))
