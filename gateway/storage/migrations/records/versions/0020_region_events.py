"""What became of records that other regions gave operators of this one."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_EVENT = (
    ("record_id", sa.String(128)),
    ("revision", sa.Integer),
    ("kind", sa.SmallInteger),
    ("item", sa.String(64)),
    ("event_time", sa.BigInteger),
)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "region_events",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in _EVENT),
        sa.Column("told_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "ux_region_events_event",
        "region_events",
        ["operator_id", "region", "event_sequence"],
        unique=True,
    )
    op.create_table(
        "region_changes",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("event_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in _EVENT),
        sa.Column("heard_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "regions_heard",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        sa.Column("heard_at", sa.BigInteger, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("regions_heard", "region_changes", "region_events"):
        op.drop_table(table)
