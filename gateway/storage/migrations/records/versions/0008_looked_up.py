"""Changes tell the delegation they were made under, answers the items asked about under a consent.

Of what there is neither is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("consent_changes", "delegation", sa.String(40)),
    ("usage_answers", "asked_items", sa.Text()),
)


def upgrade() -> None:
    """Add the columns."""
    for table, name, type_ in _COLUMNS:
        op.add_column(table, sa.Column(name, type_, nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the columns."""
    for table, name, _ in _COLUMNS:
        op.drop_column(table, name)
