"""What attestations were compared with, and what they were opened with.

Of those there are, the position compared with is taken for the one attested; how they were
opened is not known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "attestations", sa.Column("compared", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute("UPDATE attestations SET compared = disclosure_sequence")
    op.add_column("attestations", sa.Column("opening", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("attestations", "opening")
    op.drop_column("attestations", "compared")
