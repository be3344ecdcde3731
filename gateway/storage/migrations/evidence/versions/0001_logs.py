"""Merkle logs: tiles, entries, checkpoints; the log of decisions."""

import sqlalchemy as sa

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
