"""What an operator was given from other regions, by record."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_INDEX = "ix_region_uses_operator_record"


def upgrade() -> None:
    """Create the index."""
    op.create_index(_INDEX, "region_uses", ["operator_id", "record_id"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(_INDEX, "region_uses")
