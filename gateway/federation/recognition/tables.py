"""Table of recognitions: what was recognised, for whom, and the statement of it."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()

RECOGNITIONS: Final = Table(
    "recognitions",
    METADATA,
    Column("recognition_id", String(64), primary_key=True),
    Column("operator_id", String(40), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("region", String(512), nullable=False),
    Column("document_digest", String(64), nullable=False),
    Column("subject", String(18), nullable=False),
    Column("transfer_id", String(64), nullable=False),
    Column("recognised_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("statement", Text, nullable=False),
    UniqueConstraint("operator_id", "request_id", name="uq_recognitions_request"),
)
