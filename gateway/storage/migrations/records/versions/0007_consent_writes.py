"""What is written of consents is told in order, for who logs it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "consent_writes",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("written", sa.String(40), nullable=False),
        sa.Column("row_key", sa.String(400), nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("consent_writes")
