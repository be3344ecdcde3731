"""Records of other regions count against quotas and limits as this region's do: answers tell how
many they have, room is held for those under way, and counts of rates tell what is owed of them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("usage_answers", sa.Column("region_records", sa.Integer))
    op.add_column("rate_use", sa.Column("owed", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "quota_holds",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("hold_id", sa.String(40), primary_key=True),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("quota_holds")
    op.drop_column("rate_use", "owed")
    op.drop_column("usage_answers", "region_records")
