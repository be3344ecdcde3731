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
)

from gateway.conformance.removal_tables import owed_indexes

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
    *owed_indexes("region_removals"),
)
