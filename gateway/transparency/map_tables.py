"""Tables of the disclosure map: its head, members and their sets, and the trees' tiles."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

METADATA: Final = MetaData()

_Sequence = BigInteger().with_variant(Integer, "sqlite")
_ENDING = text("changes_at < 253402300799")

# One row: the map as the newest checkpoint commits to it. number counts the heads; before
# holds_until, and protected_holds_until, it holds of public items and of protected ones; form
# is that of the leaves of protected items, 1 those that did not bind their subject.
MAP_HEAD: Final = Table(
    "map_head",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("map_time", BigInteger, nullable=False),
    Column("holds_until", BigInteger, nullable=False),
    Column("protected_holds_until", BigInteger, nullable=False),
    Column("public_root", LargeBinary, nullable=False),
    Column("protected_root", LargeBinary, nullable=False),
    Column("form", SmallInteger, nullable=False, server_default="1"),
)

# Revisions that are disclosed, or will be: what has ended or expired is forgotten.
# changes_at is when time alone takes the revision into the map, or out of it.
MAP_MEMBERS: Final = Table(
    "map_members",
    METADATA,
    Column("subject", String(18), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    Column("disclosed_from", BigInteger, nullable=False),
    Column("disclosed_until", BigInteger, nullable=False),
    Column("changes_at", BigInteger, nullable=False),
    Column("protected", Boolean, nullable=False),
    Index(
        "ix_map_members_changes_at",
        "protected",
        "changes_at",
        sqlite_where=_ENDING,
        postgresql_where=_ENDING,
    ),
    sqlite_with_rowid=False,
)

# Sets that are not empty. salted_by is the number of the head a protected set's leaf is
# salted for, 0 for a public set.
MAP_SETS: Final = Table(
    "map_sets",
    METADATA,
    Column("subject", String(18), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("salted_by", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# place is that of the tile in its tree, doubled, plus the tree: 0 public, 1 protected.
MAP_TILES: Final = Table(
    "map_tiles",
    METADATA,
    Column("place", _Sequence, primary_key=True, autoincrement=False),
    Column("tile", LargeBinary, nullable=False),
)

# From which event on an item is protected, or public again: an event's commitment keeps the
# kind of member it was made with.
MAP_OPENNESS: Final = Table(
    "map_openness",
    METADATA,
    Column("item", String(64), primary_key=True),
    Column("from_event", BigInteger, primary_key=True, autoincrement=False),
    Column("protected", Boolean, nullable=False),
)
