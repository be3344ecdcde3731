"""Which credit notes were known is kept with each closing, since it puts right what they gave back.

Older code does not read the statements that have such notes, with a field it does not know.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
serves_from = "0036"


def upgrade() -> None:
    """Add the column."""
    op.add_column("settlement_closings", sa.Column("known_notes", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("settlement_closings", "known_notes")
