"""The table of removals owed for events of other regions."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

METADATA: Final = MetaData()

# What an operator owes for an event of another region that it was told of by ``number``
# (`gateway.federation.asking.event_tables`). ``event_sequence`` is by that region; ``finding`` as
# in `gateway.conformance.removal_tables`. Times in seconds, UTC: owed since it was told.
REGION_REMOVALS: Final = Table(
    "region_removals",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("region", String(255), nullable=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("owed_since", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(64), nullable=False),
    Column("finding", SmallInteger, nullable=False),
    # Whether anybody still owes for an event.
    Index("ix_region_removals_event", "region", "event_sequence"),
    Index(
        "ix_region_removals_owed",
        "operator_id",
        "deadline",
        sqlite_where=text("acknowledged_at IS NULL"),
        postgresql_where=text("acknowledged_at IS NULL"),
    ),
    Index(
        "ix_region_removals_deadline",
        "deadline",
        sqlite_where=text("acknowledged_at IS NULL AND finding = 0"),
        postgresql_where=text("acknowledged_at IS NULL AND finding = 0"),
    ),
    Index(
        "ix_region_removals_finding",
        "finding",
        sqlite_where=text("finding IN (1, 3)"),
        postgresql_where=text("finding IN (1, 3)"),
    ),
)
