"""For which regions a use of a consent was counted is kept, where that limits its uses; and room held
for an answer of another region tells how many records more that answer may have."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None
serves_from = "0030"


def upgrade() -> None:
    """Add the table and the column."""
    op.create_table(
        "regions_counted",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("decision_id", sa.String(40), primary_key=True),
        sa.Column("regions", sa.Text, nullable=False),
    )
    op.add_column(
        "quota_holds", sa.Column("beyond", sa.BigInteger, nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_column("quota_holds", "beyond")
    op.drop_table("regions_counted")
