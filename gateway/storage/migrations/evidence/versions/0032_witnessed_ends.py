"""A witness remembers which logs were gone over from: it cosigns them no more."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of logs that ended."""
    op.create_table(
        "witnessed_ends",
        sa.Column("log_key", sa.Text, primary_key=True),
        sa.Column("region", sa.String(512), primary_key=True),
    )


def downgrade() -> None:
    """Forget which logs ended."""
    op.drop_table("witnessed_ends")
