"""What follows from removals for ended consents that are overdue.

Of what was acknowledged by now, in time or late, nothing follows any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLE = "consent_removals"
_INDEXES = (
    (
        "ix_consent_removals_late",
        "deadline",
        "finding = 0 AND (acknowledged_at IS NULL OR acknowledged_at >= deadline)",
    ),
    (
        "ix_consent_removals_made_good",
        "acknowledged_at",
        "finding = 1 AND acknowledged_at IS NOT NULL",
    ),
)


def upgrade() -> None:
    """Add the column and the indexes it is looked up by."""
    op.add_column(
        _TABLE, sa.Column("finding", sa.SmallInteger(), nullable=False, server_default="0")
    )
    op.execute("UPDATE consent_removals SET finding = 2 WHERE acknowledged_at IS NOT NULL")
    for name, column, where in _INDEXES:
        op.create_index(
            name,
            _TABLE,
            [column],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def downgrade() -> None:
    """Drop them."""
    for name, _, _ in _INDEXES:
        op.drop_index(name, _TABLE)
    op.drop_column(_TABLE, "finding")
