"""Whom regions asked for, and the licence credentials that were shown."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ASKS = "region_asks"
_CREDENTIALS = "region_credentials"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        _ASKS,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("payload_digest", sa.LargeBinary, primary_key=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("asking_operator", sa.String(64), nullable=False),
        sa.Column("asking_licence", sa.String(64), nullable=False),
        sa.Column("asking_decision", sa.String(128), nullable=False),
        sa.Column("mapping_version", sa.String(64), nullable=False),
        sa.Column("credential_digest", sa.LargeBinary, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_region_asks_payload_digest", _ASKS, ["payload_digest"])
    op.create_table(
        _CREDENTIALS,
        sa.Column("credential_digest", sa.LargeBinary, primary_key=True),
        sa.Column("credential", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table(_CREDENTIALS)
    op.drop_table(_ASKS)
