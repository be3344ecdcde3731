"""Tables of what became of other regions' records that operators of this one were given."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
)

METADATA: Final = MetaData()

# One row is one event about one record, for one operator that was given a revision it ends or
# replaces. number counts the operator's; event_sequence is the place in the region's disclosure
# log (`gateway.federation.asking.event_places`), item the region's. Times are seconds, UTC: event_time by the region, told_at by this one.
REGION_EVENTS: Final = Table(
    "region_events",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("region", String(255), nullable=False),
    Column("event_sequence", BigInteger, nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("item", String(64), nullable=False),
    Column("event_time", BigInteger, nullable=False),
    Column("told_at", BigInteger, nullable=False),
    Column("severity", SmallInteger, nullable=False, server_default="0"),
    Index("ux_region_events_event", "operator_id", "region", "event_sequence", unique=True),
    # From an operator's copy to what became of it.
    Index("ix_region_events_operator_record", "operator_id", "record_id"),
)

# The same events whoever they concern: for as long as an answer may still be on its way here
# that was given before them, and until their region is told that all their copies are gone.
# heard_at is by this region (seconds, UTC).
REGION_CHANGES: Final = Table(
    "region_changes",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("event_sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", String(128), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("item", String(64), nullable=False),
    Column("event_time", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
)

# How far a region's events are known: up to event_sequence, as of heard_at (seconds, UTC, by
# this region). told counts the rows of region_events that came of it.
REGIONS_HEARD: Final = Table(
    "regions_heard",
    METADATA,
    Column("region", String(255), primary_key=True),
    Column("event_sequence", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
)
