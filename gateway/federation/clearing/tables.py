"""Tables of clearing: what was agreed with other regions, what is in dispute, and evidence on it."""

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
)

METADATA: Final = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")

# One row is a clearing: with acceptance "" and agreed_at null it is proposed here, and not agreed
# yet. Periods with a region follow one another without gaps. owed and due are this region's,
# micro-yuan. ledger_entries is how many entries this region's ledger had of the period itself;
# elements are the first 16 bytes of the digests of all entries agreed, packed.
CLEARINGS: Final = Table(
    "clearings",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("region", String(255), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("proposing", String(255), nullable=False),
    Column("document", Text, nullable=False),
    Column("acceptance", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("agreed_at", BigInteger),
    Column("entries", BigInteger, nullable=False),
    Column("adjusted", BigInteger, nullable=False),
    Column("owed", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("disputes", Integer, nullable=False),
    Column("under_way", Integer, nullable=False),
    Column("ledger_entries", BigInteger, nullable=False),
    Column("elements", LargeBinary, nullable=False),
    UniqueConstraint("region", "start", name="uq_clearings_region_start"),
    Index("ix_clearings_region_until", "region", "until"),
)

# One row is an entry that clearings leave out, as it was told last. stands says whose version
# does, as this region's administrators see it (ClearingStand), and stands_version the digest of
# that version, "" where that side has none. closed is the end of the period of the clearing that
# closed it, null while it is open.
DISPUTES: Final = Table(
    "clearing_disputes",
    METADATA,
    Column("dispute_id", String(64), primary_key=True),
    Column("region", String(255), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("home_entry", Text, nullable=False),
    Column("asking_entry", Text, nullable=False),
    Column("supported", SmallInteger, nullable=False),
    Column("found", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("stands", SmallInteger, nullable=False),
    Column("stands_version", String(64), nullable=False, server_default=""),
    Column("resolved_by", String(255), nullable=False),
    Column("resolved_at", BigInteger),
    Column("note", Text, nullable=False),
    Index("ix_clearing_disputes_region", "region", "closed"),
)

# What both sides showed on disputes: serialised ClearingEvidence, by the region and the end of
# the period of the clearing it was shown with.
EVIDENCE: Final = Table(
    "clearing_evidence",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("until", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), primary_key=True),
    Column("evidence", LargeBinary, nullable=False),
)

# Why clearing with a region failed last, since when it has failed, and how often; no row where it
# did not.
FAILURES: Final = Table(
    "clearing_failures",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("failure", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
)

# What administrators want cleared at once: until when, by region.
WANTED: Final = Table(
    "clearing_wanted",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("until", BigInteger, nullable=False),
)
