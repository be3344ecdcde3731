"""Tables of the usage ledger: answers with their entries, quota counters, refusals."""

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
# without the other.
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
    UniqueConstraint("operator_id", "request_id", "chunk", name="uq_usage_answers_request"),
    Index("ix_usage_answers_operator_sequence", "operator_id", "sequence"),
    Index("ix_usage_answers_operator_served_at", "operator_id", "served_at"),
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

QUOTA: Final = Table(
    "quota_use",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("used", BigInteger, nullable=False),
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
