"""Plans by which other regions charge for time are kept from when they first told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of plans that charge for time."""
    op.create_table(
        "clearing_time_plans",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("plan", sa.String(64), primary_key=True),
        sa.Column("plan_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("effective_from", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Forget which plans people were told of."""
    op.drop_table("clearing_time_plans")
