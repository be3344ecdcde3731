"""The authorisation server to the FAPI 2.0 Security Profile."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "oauth_revocation",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_oauth_revocation_expires_at", "oauth_revocation", ["expires_at"])
    op.create_table(
        "oauth_pushed_request",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_oauth_pushed_request_keep_until", "oauth_pushed_request", ["keep_until"])
    op.create_table(
        "oauth_interaction",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_oauth_interaction_expires_at", "oauth_interaction", ["expires_at"])
    op.create_table(
        "oauth_code",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("grant_id", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("ix_oauth_code_expires_at", "oauth_code", ["expires_at"])
    op.create_table(
        "oauth_grant",
        sa.Column("grant_id", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("granted_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("ix_oauth_grant_expires_at", "oauth_grant", ["expires_at"])
    op.create_table(
        "oauth_refresh_token",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("grant_id", sa.String(64), nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("superseded_at", sa.BigInteger),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("ix_oauth_refresh_token_grant_id", "oauth_refresh_token", ["grant_id"])
    op.create_table(
        "signin_session",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("uscc", sa.String(18), nullable=False),
        sa.Column("acr", sa.String(64), nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_signin_session_seen_at", "signin_session", ["seen_at"])
    op.create_table(
        "signin_attempt",
        sa.Column("state_digest", sa.LargeBinary, primary_key=True),
        sa.Column("browser_digest", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("code_verifier", sa.String(128), nullable=False),
        sa.Column("max_age", sa.Integer, nullable=False),
        sa.Column("return_to", sa.String(256), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_signin_attempt_started_at", "signin_attempt", ["started_at"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("attempt", "session"):
        op.drop_table(f"signin_{table}")
    for table in ("refresh_token", "grant", "code", "interaction", "pushed_request", "revocation"):
        op.drop_table(f"oauth_{table}")
