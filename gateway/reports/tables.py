"""Table of the reports issued."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
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

# issued_by is "operators/{id}" or "subjects/{uscc}". Ids begin with the time of issue, so
# they are in its order. document is emptied once the report does not hold any more;
# revoked_at is 0 while nobody took it back; items are catalogue codes, separated by blanks;
# the bounds of the period are 0 and NO_END where it has none; stated are the sequences of the
# revisions stated, as in the ledger; regions is a JSON object of the region codes it states
# records of, by item, "" where of all.
REPORTS: Final = Table(
    "credit_reports",
    METADATA,
    Column("report_id", String(64), primary_key=True),
    Column("issued_by", String(80), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("subject", String(18), nullable=False),
    Column("items", Text, nullable=False),
    Column("period_from", BigInteger, nullable=False),
    Column("period_until", BigInteger, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("consent", String(128), nullable=False),
    Column("check_code", String(16), nullable=False),
    Column("disclosure_sequence", BigInteger, nullable=False),
    Column("stated", LargeBinary, nullable=False),
    Column("served_at", BigInteger, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("document_digest", LargeBinary, nullable=False),
    Column("document", Text, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Column("revoked_by", String(255), nullable=False),
    Column("revoked_for", Text, nullable=False),
    Column("regions", Text, nullable=False, server_default=""),
    UniqueConstraint("issued_by", "request_id", name="uq_credit_reports_issued_by_request_id"),
    Index("ix_credit_reports_subject", "subject", "report_id"),
    Index(
        "ix_credit_reports_kept",
        "expires_at",
        sqlite_where=text("document <> ''"),
        postgresql_where=text("document <> ''"),
    ),
)
