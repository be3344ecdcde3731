"""Tables of signing in: sessions of browsers, sign-ins under way, and shared secrets."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

METADATA: Final = MetaData()

# Secrets of browsers are kept as their SHA-256.
SESSION: Final = Table(
    "signin_session",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("name", String(200), nullable=False),
    Column("uscc", String(18), nullable=False),
    Column("acr", String(64), nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("ix_signin_session_seen_at", "seen_at"),
)

ATTEMPT: Final = Table(
    "signin_attempt",
    METADATA,
    Column("state_digest", LargeBinary, primary_key=True),
    Column("browser_digest", LargeBinary, nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("code_verifier", String(128), nullable=False),
    Column("max_age", Integer, nullable=False),
    Column("return_to", String(256), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Index("ix_signin_attempt_started_at", "started_at"),
)

# Secrets of the installation by what they are for, random and made once.
SECRET: Final = Table(
    "signin_secret",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("secret", LargeBinary, nullable=False),
)
