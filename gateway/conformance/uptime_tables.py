"""Tables of when the gateway was up last, and of when it was away."""

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

# What deadlines that are written down nowhere are put off by. In seconds, UTC.
OUTAGES: Final = Table(
    "gateway_outages",
    METADATA,
    Column("ended", BigInteger, primary_key=True, autoincrement=False),
    Column("began", BigInteger, nullable=False),
    Column("grace", BigInteger, nullable=False),
)
