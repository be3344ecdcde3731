"""Tables of the logs: what each is, its tiles, entries and checkpoints."""

from enum import IntEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")


class LogId(IntEnum):
    """One of the gateway's logs. USAGE has no entries: its origin and key are what receipts
    of use are signed under, and below it each operator has a log of its own."""

    DISCLOSURE = 1
    DECISIONS = 2
    USAGE = 3

    @property
    def path(self) -> str:
        """What the log is called in origins and URLs."""
        return self.name.lower()


class OperatorLogId(int):
    """The usage log of one operator, by its number in the store."""

    FIRST: Final = 16

    @property
    def path(self) -> str:
        """What the log is called where something is wrong with it."""
        return f"{LogId.USAGE.path}, number {int(self)}"


AnyLogId = LogId | OperatorLogId


# A log keeps the origin and key it began with: whoever pinned them is told no other. salts is
# the fingerprint of the secret its commitments are salted with, null where they are not.
LOGS: Final = Table(
    "logs",
    METADATA,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("origin", String(255), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("salts", LargeBinary),
    Column("size", BigInteger, nullable=False),
)

# Tiles and bundles as C2SP tlog-tiles has them; the last of each level grows in place.
TILES: Final = Table(
    "log_tiles",
    METADATA,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", _Sequence, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

BUNDLES: Final = Table(
    "log_bundles",
    METADATA,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", _Sequence, primary_key=True, autoincrement=False),
    Column("entries", LargeBinary, nullable=False),
)

# cosignatures are lines of witnesses, to go behind those of the note.
CHECKPOINTS: Final = Table(
    "log_checkpoints",
    METADATA,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("size", _Sequence, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("cosignatures", Text, nullable=False, server_default=""),
)

# Where map heads stand among the events of the disclosure log. seal is of all events up to
# there, in all that is kept of them (`gateway.transparency.entries.sealed`).
HEADS: Final = Table(
    "disclosure_log_heads",
    METADATA,
    Column("log_index", _Sequence, primary_key=True, autoincrement=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    Index("ix_disclosure_log_heads_event", "event_sequence", "log_index"),
)

# The note by which a former key of a log and the next say that one follows the other, and when the
# former was put away (seconds, UTC); number is that of its file. What was put away without a note has
# no row.
LINKS: Final = Table(
    "log_links",
    METADATA,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# The note by which the key of a log says which is to follow, until that does.
ANNOUNCEMENTS: Final = Table(
    "log_announcements",
    METADATA,
    Column("log", SmallInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
