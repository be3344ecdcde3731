"""Tables of the usage ledger: answers with their entries, places, quota counters, refusals."""

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
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# One row is one answer: a unary call, or one chunk of a batch. The claim of the
# request id and the entries of the answer are the same row, so neither can exist
# without the other. A reversal is a row of its own kind, with the request and chunk of the
# answer it credits, whose usage_index is its reversed_index. usage_index is the place in the
# operator's usage log: dense from 0, in the order of commit, which is that of sequence too.
# records_digest is empty where none was made, as of answers older than the usage log.
# leaf_hash is that of the row's leaf there (`gateway.meter.leaf`), null in answers older than it.
# asked_items are the items that an answer about a subject looked for under a consent, found
# or not, separated by blanks; empty without one, and in older answers. asked_subjects is how
# many subjects were asked about, found or not; 0 in older answers. opened_entries is how many of
# its records a consent opened: those alone are served under it; null in older answers.
# region_records is how many records of other regions it charges and counts against the day's quota;
# null in older answers, which counted none. licences tells which licences bear its records where
# those are several, "" where the one named does, null in older answers: those count against no
# licence of their own in licence_use.
USAGE: Final = Table(
    "usage_answers",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("operator_id", String(40), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("payload_digest", LargeBinary, nullable=False),
    Column("licence", String(64), nullable=False),
    Column("consent", String(128), nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("decision_id", String(40), nullable=False),
    Column("served_at", BigInteger, nullable=False),
    Column("disclosure_sequence", BigInteger, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("lines", Text, nullable=False),
    Column("entries", LargeBinary, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("usage_index", BigInteger, nullable=False),
    Column("records_digest", LargeBinary, nullable=False),
    Column("reversed_index", BigInteger),
    Column("leaf_hash", LargeBinary),
    Column("asked_items", Text, nullable=False, server_default=""),
    Column("asked_subjects", Integer, nullable=False, server_default="0"),
    Column("opened_entries", Integer),
    Column("region_records", Integer),
    Column("licences", Text),
    UniqueConstraint("operator_id", "request_id", "chunk", "kind", name="uq_usage_answers_request"),
    Index("ix_usage_answers_operator_sequence", "operator_id", "sequence"),
    Index("ix_usage_answers_operator_served_at", "operator_id", "served_at"),
    # Reversals are few, and each month looks for its own.
    Index(
        "ix_usage_answers_reversals",
        "operator_id",
        "sequence",
        sqlite_where=text("kind = 2"),
        postgresql_where=text("kind = 2"),
    ),
    # An operator's answers under consents, one behind the other: to keep them by consent
    # would cost each answer a page of its own.
    Index(
        "ix_usage_answers_consented",
        "operator_id",
        "sequence",
        "consent",
        sqlite_where=text("consent <> ''"),
        postgresql_where=text("consent <> ''"),
    ),
)

# Where the next answer of an operator goes in its usage log.
USAGE_HEADS: Final = Table(
    "usage_heads",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("next_index", BigInteger, nullable=False),
)

QUOTA: Final = Table(
    "quota_use",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("used", BigInteger, nullable=False),
)

# The records of quota_use by the licence they count against. What earlier versions counted is
# missing here: it counts against each licence of the operator.
LICENCE_USE: Final = Table(
    "licence_use",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("licence", String(64), primary_key=True),
    Column("used", BigInteger, nullable=False),
)

# Room in a day's quota for an answer of another region that is under way: how many records that
# answer has is known once that region has metered it. A row counts until it is deleted or ``until``
# (seconds, UTC) has come, by itself where a process died. beyond are the records that the answer may
# have besides, and for which no room was left.
QUOTA_HOLDS: Final = Table(
    "quota_holds",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("hold_id", String(40), primary_key=True),
    Column("records", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("beyond", BigInteger, nullable=False, server_default="0"),
)

REFUSALS: Final = Table(
    "refusals",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("decision_id", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("method", String(100), nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("consent", String(128), nullable=False, server_default=""),
    Index(
        "ix_refusals_consent",
        "consent",
        "sequence",
        sqlite_where=text("consent <> ''"),
        postgresql_where=text("consent <> ''"),
    ),
)
