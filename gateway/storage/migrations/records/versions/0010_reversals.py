"""Reversals are found by the operator: each month looks for its own."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEX = "ix_usage_answers_reversals"
_TABLE = "usage_answers"


def upgrade() -> None:
    """Add the index."""
    only = sa.text("kind = 2")
    op.create_index(
        _INDEX, _TABLE, ["operator_id", "sequence"], sqlite_where=only, postgresql_where=only
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(_INDEX, _TABLE)
