"""Tables of alerts: what was raised, and the counts it follows from."""

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

# hour numbers the hour it is about since the epoch, at the policy's offset; purpose is 0 for
# none. acknowledged_at is null until somebody has.
ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("operator_id", String(40), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("hour", BigInteger, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(255), nullable=False),
    Column("note", Text, nullable=False),
    UniqueConstraint("operator_id", "kind", "hour", "purpose", name="uq_alerts_about"),
    Index("ix_alerts_acknowledged", "acknowledged_at", "number"),
)

FOLLOWED: Final = Table(
    "alert_followed",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

# asked counts the subjects asked about, found those of them that had records; each time.
HOURS: Final = Table(
    "alert_hours",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("purpose", SmallInteger, primary_key=True, autoincrement=False),
    Column("records", BigInteger, nullable=False),
    Column("asked", BigInteger, nullable=False, server_default="0"),
    Column("found", BigInteger, nullable=False, server_default="0"),
)

# sketch counts the subjects of a day, and is no list of them (`gateway.alerts.sketch`).
SUBJECTS: Final = Table(
    "alert_subjects",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("sketch", LargeBinary, nullable=False),
)
