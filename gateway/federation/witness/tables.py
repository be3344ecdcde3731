"""Tables of a witness: what it cosigned of each log, and the split views that were found."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")

# One row for each log of another region, locked by whoever cosigns for it. log_key is the
# C2SP key its checkpoints are verified by: with the origin, which any region may name, it tells
# logs apart. region is who showed it last; act numbers all that this witness ever signed.
WITNESSED_LOGS: Final = Table(
    "witnessed_logs",
    METADATA,
    Column("origin", String(255), primary_key=True),
    Column("region", String(512), nullable=False),
    Column("log_key", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("cosignature", Text, nullable=False),
    Column("cosigned_at", BigInteger, nullable=False),
    Column("act", BigInteger, nullable=False),
)

# Keys of logs that were gone over from, and are cosigned no more: by whichever region that of the
# log signed to have ended ("" for region), by the region alone that now has another.
WITNESSED_ENDS: Final = Table(
    "witnessed_ends",
    METADATA,
    Column("log_key", Text, primary_key=True),
    Column("region", String(512), primary_key=True),
)

# The newest checkpoints cosigned of a log: what others have seen is compared with them.
WITNESSED: Final = Table(
    "witnessed_checkpoints",
    METADATA,
    Column("origin", String(255), primary_key=True),
    Column("log_key", Text, primary_key=True, server_default=""),
    Column("size", _Number, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
)

# evidence is that of `sdk.histories.SplitView`, as JSON; digest tells it from others. told_by
# is the region that showed it, "" where it was found here. cleared_at is null while the log
# is distrusted for it.
SPLIT_VIEWS: Final = Table(
    "split_views",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False),
    Column("origin", String(255), nullable=False),
    Column("region", String(512), nullable=False),
    Column("log_key", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("told_by", String(512), nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("cleared_at", BigInteger),
    Column("cleared_by", String(255), nullable=False),
    Column("note", Text, nullable=False),
    UniqueConstraint("digest", name="uq_split_views_digest"),
    Index("ix_split_views_cleared", "cleared_at", "origin"),
)
