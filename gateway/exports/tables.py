"""Table of exports: how far each receiver was told of each operator's uses."""

from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, String, Table

METADATA: Final = MetaData()

# receiver names where it goes (`gateway.exports.follower.Receiver`); size counts the ledger's
# rows of the operator it was told of, sequence is that of the last.
EXPORTED: Final = Table(
    "usage_exported",
    METADATA,
    Column("receiver", String(64), primary_key=True),
    Column("operator_id", String(40), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)
