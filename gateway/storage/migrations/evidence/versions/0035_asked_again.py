"""Why a copy is asked for again is kept, since that takes room of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None
serves_from = "0034"


def upgrade() -> None:
    """Add the column."""
    op.add_column("challenges", sa.Column("again", sa.SmallInteger))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("challenges", "again")
