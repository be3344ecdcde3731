"""The table of deliveries: how far each was acknowledged, and what came of it."""

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
    text,
)

METADATA: Final = MetaData()

# turn counts the calls that took the delivery up: the last has it. Acknowledged are all chunks
# before chunk, and of that the first entries; omitted are revisions before that, packed as in
# the ledger, that were charged and not there any more when their chunk came again. touched_at
# is when its call was last known to be there; 0 where nothing more is to come, and the beginning of the
# next day (UTC) where it was put off to that. unacknowledged and credited are what was found when it
# was settled.
DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("payload_digest", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("touched_at", BigInteger, nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("omitted", LargeBinary, nullable=False),
    Column("settled_at", BigInteger),
    Column("unacknowledged", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Index(
        "ix_deliveries_open",
        "touched_at",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
    Index(
        "ix_deliveries_settled",
        "settled_at",
        sqlite_where=text("unacknowledged > 0"),
        postgresql_where=text("unacknowledged > 0"),
    ),
)
