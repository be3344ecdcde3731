"""Tables of the authorisation server: assertions that were used."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table

METADATA: Final = MetaData()

# A jti is the client's own choice and any length; its SHA-256 is what is kept.
ASSERTION_JTI: Final = Table(
    "assertion_jti",
    METADATA,
    Column("client_id", String(64), primary_key=True),
    Column("jti_digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_assertion_jti_expires_at", "expires_at"),
)
