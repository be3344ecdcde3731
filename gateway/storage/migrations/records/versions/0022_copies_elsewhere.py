"""How each record was that another region gave, and how grave it is what became of it.

Of what was given before nothing is known: copies of it are not compared.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_INDEX = "ix_region_events_operator_record"
_COPIES = (
    ("content_digest", sa.LargeBinary),
    ("disclosed_from", sa.BigInteger),
    ("disclosed_until", sa.BigInteger),
    ("severity", sa.SmallInteger),
    ("cut", sa.Boolean),
)


def upgrade() -> None:
    """Add the columns: without rows rewritten, as they may be null."""
    for name, kind in _COPIES:
        op.add_column("region_uses", sa.Column(name, kind))
    op.add_column(
        "region_events",
        sa.Column("severity", sa.SmallInteger, nullable=False, server_default="0"),
    )
    op.create_index(_INDEX, "region_events", ["operator_id", "record_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(_INDEX, "region_events")
    op.drop_column("region_events", "severity")
    for name, _ in reversed(_COPIES):
        op.drop_column("region_uses", name)
