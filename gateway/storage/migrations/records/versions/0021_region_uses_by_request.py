"""What other regions gave an operator, by the request that both ends metered."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_INDEX = "ix_region_uses_operator_request"


def upgrade() -> None:
    """Create the index."""
    op.create_index(_INDEX, "region_uses", ["operator_id", "region_request_id"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(_INDEX, "region_uses")
