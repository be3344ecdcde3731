"""Tables of usage logs: whose log is which, how far it has come, what operators agreed with."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()

# sequence is that of the ledger's row which the log's newest entry is of.
USAGE_LOGS: Final = Table(
    "usage_logs",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("log", SmallInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    UniqueConstraint("log", name="uq_usage_logs_log"),
)

# The newest of each operator: a checkpoint proves all that those before it do. jwk is the
# client's key that verifies the cosignature, as it was registered then.
COSIGNATURES: Final = Table(
    "usage_cosignatures",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("cosignature", Text, nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("jwk", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Of operators that have not agreed with all that is logged; see `gateway.usage.duty`.
AGREEMENT_DUTIES: Final = Table(
    "usage_duties",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("agreed", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reminded", Boolean, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("spared_until", BigInteger, nullable=False, server_default="0"),
)
