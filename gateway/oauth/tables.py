"""Tables of the authorisation server."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# A jti is the client's own choice and any length; its SHA-256 is what is kept.
ASSERTION_JTI: Final = Table(
    "assertion_jti",
    METADATA,
    Column("client_id", String(64), primary_key=True),
    Column("jti_digest", LargeBinary, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_assertion_jti_expires_at", "expires_at"),
)

# The sequence is given by the writer: see operators.tables.
REVOCATION: Final = Table(
    "oauth_revocation",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("kind", String(8), nullable=False),
    Column("id", String(128), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_oauth_revocation_expires_at", "expires_at"),
)

# Of every secret handed out (request_uri, interaction, code, refresh token), only the
# SHA-256 is kept: who reads the store can use none of them.
PUSHED_REQUEST: Final = Table(
    "oauth_pushed_request",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("client_id", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("decided_at", BigInteger),
    Column("keep_until", BigInteger, nullable=False),
    Index("ix_oauth_pushed_request_keep_until", "keep_until"),
)

INTERACTION: Final = Table(
    "oauth_interaction",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_oauth_interaction_expires_at", "expires_at"),
)

CODE: Final = Table(
    "oauth_code",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("client_id", String(64), nullable=False),
    Column("grant_id", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_oauth_code_expires_at", "expires_at"),
)

GRANT: Final = Table(
    "oauth_grant",
    METADATA,
    Column("grant_id", String(64), primary_key=True),
    Column("client_id", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Index("ix_oauth_grant_expires_at", "expires_at"),
)

# Which consents the approvals rest on, noted with the code: ending a consent finds by it
# all that an approval gave, redeemed yet or not.
GRANT_CONSENT: Final = Table(
    "oauth_grant_consent",
    METADATA,
    Column("consent", String(128), primary_key=True),
    Column("grant_id", String(64), primary_key=True),
    Index("ix_oauth_grant_consent_grant_id", "grant_id"),
)

# A superseded token keeps the salt its successor was made with, so that a client that
# lost the answer is given the same successor again.
REFRESH_TOKEN: Final = Table(
    "oauth_refresh_token",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant_id", String(64), nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("superseded_at", BigInteger),
    Column("salt", LargeBinary),
    Column("used_at", BigInteger),
    Index("ix_oauth_refresh_token_grant_id", "grant_id"),
)
