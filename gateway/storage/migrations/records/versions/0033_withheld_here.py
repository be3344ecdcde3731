"""Of what a region charged and nobody was given it is kept whether that was this region's own doing."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
serves_from = "0032"


def upgrade() -> None:
    """Add the column; of older records it is not known."""
    op.add_column("region_uses", sa.Column("withheld", sa.Boolean))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("region_uses", "withheld")
