"""Deliveries against acknowledgements: how far each was acknowledged, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLE = "deliveries"
_INDEXES = (
    ("ix_deliveries_open", ["touched_at"], "state = 1"),
    ("ix_deliveries_settled", ["settled_at"], "unacknowledged > 0"),
)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("payload_digest", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("touched_at", sa.BigInteger, nullable=False),
        sa.Column("chunk", sa.Integer, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("omitted", sa.LargeBinary, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("unacknowledged", sa.BigInteger, nullable=False),
        sa.Column("credited", sa.BigInteger, nullable=False),
    )
    for name, columns, where in _INDEXES:
        only = sa.text(where)
        op.create_index(name, _TABLE, columns, sqlite_where=only, postgresql_where=only)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE)
