"""Which version of a disputed entry stands. What was said before names none: it is said anew."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the digest of the version, and forget what was said of open disputes without it."""
    op.add_column(
        "clearing_disputes",
        sa.Column("stands_version", sa.String(64), nullable=False, server_default=""),
    )
    op.execute("UPDATE clearing_disputes SET stands = 0 WHERE closed IS NULL")


def downgrade() -> None:
    """Drop the digest."""
    op.drop_column("clearing_disputes", "stands_version")
