"""Operators that have yet to agree with their usage logs; hours count subjects asked about."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COUNTED = ("asked", "found")


def upgrade() -> None:
    """Create the table and add the columns."""
    op.create_table(
        "usage_duties",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("agreed", sa.BigInteger, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("reminded", sa.Boolean, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
    )
    for name in _COUNTED:
        op.add_column(
            "alert_hours", sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        )


def downgrade() -> None:
    """Drop them."""
    for name in _COUNTED:
        op.drop_column("alert_hours", name)
    op.drop_table("usage_duties")
