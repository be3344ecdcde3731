"""Regions whose records a report states: what is disclosed outside them ends it no more."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: reports issued before are held to all regions, as they were."""
    op.add_column(
        "credit_reports", sa.Column("regions", sa.Text, nullable=False, server_default="")
    )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("credit_reports", "regions")
