"""When requests were answered again last."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_REPLAYS = "usage_replays"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _REPLAYS,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("chunk", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("replayed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_usage_replays_replayed_at", _REPLAYS, ["operator_id", "replayed_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_REPLAYS)
