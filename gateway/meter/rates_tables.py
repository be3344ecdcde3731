"""Table of the counts of rates."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table

METADATA: Final = MetaData()

# key is what of the operator is counted: a client, item or purpose, a digest of a subject, or
# "" for the operator as a whole. arrival is the theoretical arrival time, microseconds UTC;
# once it has passed, the row says nothing more. owed is by how many of them it lay beyond a whole
# burst when it was written: records that another region had metered are taken in any case.
RATE_USE: Final = Table(
    "rate_use",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("limit_id", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("arrival", BigInteger, nullable=False),
    Column("owed", BigInteger, nullable=False, server_default="0"),
    Index("ix_rate_use_operator_arrival", "operator_id", "arrival"),
)
