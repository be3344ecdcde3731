"""Tables of clearing: what was agreed with other regions, what is in dispute, and evidence on it."""

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

# One row is an answer that clearings leave out. found is the end of the period of the clearing that
# found it, since that of the last one that found it changed, closed that of the one that closed it,
# null while it is open. stands says whose version does, as this region's administrators see it
# (ClearingStand), and stands_version the digest of that version, "" where that side has none.
# proved tells whether this region has made its own evidence on it, tried when that was last tried
# (seconds, UTC), 0 before.
DISPUTES: Final = Table(
    "clearing_disputes",
    METADATA,
    Column("dispute_id", String(64), primary_key=True),
    Column("region", String(255), nullable=False),
    Column("home", String(255), nullable=False),
    Column("asking", String(255), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("found", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("supported", SmallInteger, nullable=False),
    Column("stands", SmallInteger, nullable=False),
    Column("stands_version", String(64), nullable=False),
    Column("resolved_by", String(255), nullable=False),
    Column("resolved_at", BigInteger),
    Column("note", Text, nullable=False),
    Column("proved", Boolean, nullable=False),
    Column("tried", BigInteger, nullable=False),
    Index("ix_clearing_disputes_region", "region", "closed"),
    Index("ix_clearing_disputes_tried", "region", "proved", "tried"),
)

# One row is what a dispute was from one clearing on, by the end of its period, until another, null
# while it is that. home and asking are Versions of `creditgate.clearing_entries`, "" where a side
# has none, home_version and asking_version their digests, home_entries and asking_entries what they
# are of, entries how many those are. served is the last second of the home region's version.
VERSIONS: Final = Table(
    "clearing_versions",
    METADATA,
    Column("dispute_id", String(64), primary_key=True),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("region", String(255), nullable=False),
    Column("ended", BigInteger),
    Column("kind", SmallInteger, nullable=False),
    Column("served", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("home_version", String(64), nullable=False),
    Column("asking_version", String(64), nullable=False),
    Column("home", Text, nullable=False),
    Column("asking", Text, nullable=False),
    Column("home_entries", Text, nullable=False),
    Column("asking_entries", Text, nullable=False),
    Index("ix_clearing_versions_region", "region", "since"),
    Index("ix_clearing_versions_region_ended", "region", "ended"),
)

# What the other region claims of each answer that the last comparison, up to until, found to differ:
# it is proposed, or signed, from here.
CLAIMS: Final = Table(
    "clearing_claims",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("dispute_id", String(64), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("entries", Text, nullable=False),
)

# What proves a version: a serialised ClearingEvidence. own is what this region has made; shown the
# end of the period of the clearing that it was exchanged with, 0 before.
EVIDENCE: Final = Table(
    "clearing_evidence",
    METADATA,
    Column("dispute_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("region", String(255), nullable=False),
    Column("own", Boolean, nullable=False),
    Column("shown", BigInteger, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Index("ix_clearing_evidence_region_shown", "region", "own", "shown"),
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
