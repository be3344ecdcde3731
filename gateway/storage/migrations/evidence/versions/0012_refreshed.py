"""Copies shown that the operator was served again after they were asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "challenges",
        sa.Column("answers", sa.BigInteger, nullable=False, server_default=str((1 << 63) - 1)),
    )
    op.add_column(
        "challenges",
        sa.Column("refreshed", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "conformance_standings",
        sa.Column("refreshed", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index("ix_challenges_operator_closed", "challenges", ["operator_id", "closed_at"])


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index("ix_challenges_operator_closed", "challenges")
    op.drop_column("conformance_standings", "refreshed")
    op.drop_column("challenges", "refreshed")
    op.drop_column("challenges", "answers")
