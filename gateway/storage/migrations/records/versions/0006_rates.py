"""Rates: how far each count of a limit is used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLE = "rate_use"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("limit_id", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("arrival", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_rate_use_operator_arrival", _TABLE, ["operator_id", "arrival"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE)
