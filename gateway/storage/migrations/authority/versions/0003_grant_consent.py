"""Which consents OAuth grants rest on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "oauth_grant_consent",
        sa.Column("consent", sa.String(128), primary_key=True),
        sa.Column("grant_id", sa.String(64), primary_key=True),
    )
    op.create_index("ix_oauth_grant_consent_grant_id", "oauth_grant_consent", ["grant_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("oauth_grant_consent")
