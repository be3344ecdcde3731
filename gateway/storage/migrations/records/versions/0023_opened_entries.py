"""Answers tell how many of their records a consent opened; of older ones that is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("usage_answers", sa.Column("opened_entries", sa.Integer))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("usage_answers", "opened_entries")
