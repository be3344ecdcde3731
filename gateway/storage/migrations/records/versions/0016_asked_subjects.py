"""Answers tell how many subjects were asked about; of older ones that is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "usage_answers",
        sa.Column("asked_subjects", sa.Integer, nullable=False, server_default="0"),
    )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("usage_answers", "asked_subjects")
