"""The table of when the gateway was up last."""

from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, String, Table

METADATA: Final = MetaData()

# One row. ``at`` in seconds, UTC.
BEATS: Final = Table(
    "gateway_beats",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
