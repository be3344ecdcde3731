"""Tables of the disclosure: events, revisions, revenue lines, publisher batches."""

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
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData()
NO_END: Final = 253_402_300_799
"""Stored disclosed_until of records without end (9999-12-31T23:59:59Z)."""

_Sequence = BigInteger().with_variant(Integer, "sqlite")

EVENTS: Final = Table(
    "disclosure_events",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("subject", String(18), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("disclosed_from", BigInteger, nullable=False),
    Column("disclosed_until", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("published_by", String(64), nullable=False),
    Column("note", Text, nullable=False),
)

# ended_by is the sequence of the event that ended the revision, 0 while it lives.
# A revision's key is the sequence of the event that fixed it, so one number names
# record and revision together, in usage entries as here.
REVISIONS: Final = Table(
    "record_revisions",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("record_id", String(128), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("subject", String(18), nullable=False),
    Column("line_no", Integer, nullable=False),
    Column("disclosed_from", BigInteger, nullable=False),
    Column("disclosed_until", BigInteger, nullable=False),
    Column("ended_by", BigInteger, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    UniqueConstraint("record_id", "revision", name="uq_record_revisions_record_revision"),
    Index(
        "ix_record_revisions_live_subject",
        "subject",
        sqlite_where=text("ended_by = 0"),
        postgresql_where=text("ended_by = 0"),
    ),
)

# What revenue is counted by: the same few combinations recur in millions of
# records, so each has a number.
LINES: Final = Table(
    "revenue_lines",
    METADATA,
    Column("line_no", Integer, primary_key=True, autoincrement=False),
    Column("item", String(64), nullable=False),
    Column("source", String(200), nullable=False),
    Column("region", String(6), nullable=False),
    UniqueConstraint("item", "source", "region", name="uq_revenue_lines_item_source_region"),
)

BATCHES: Final = Table(
    "publisher_batches",
    METADATA,
    Column("publisher", String(64), primary_key=True),
    Column("batch_id", String(128), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("published", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("rejections", LargeBinary, nullable=False),
)
