"""Quotas are counted by licence, and answers tell which licences bear their records."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("usage_answers", sa.Column("licences", sa.Text))
    op.create_table(
        "licence_use",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("licence", sa.String(64), primary_key=True),
        sa.Column("used", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("licence_use")
    op.drop_column("usage_answers", "licences")
