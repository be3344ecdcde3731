"""Removals owed for disclosure events, and their acknowledgements."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "removal_duties",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("event_sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("revision_sequence", sa.BigInteger, nullable=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("owed_since", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(64), nullable=False),
        sa.Column("finding", sa.SmallInteger, nullable=False),
    )
    op.create_index("ix_removal_duties_record", "removal_duties", ["record_id", "event_sequence"])
    op.create_index(
        "ix_removal_duties_acknowledged", "removal_duties", ["operator_id", "acknowledged_at"]
    )
    for name, columns, where in (
        ("owed", ["operator_id", "deadline"], "acknowledged_at IS NULL"),
        ("deadline", ["deadline"], "acknowledged_at IS NULL AND finding = 0"),
        ("finding", ["finding"], "finding IN (1, 3)"),
    ):
        op.create_index(
            f"ix_removal_duties_{name}",
            "removal_duties",
            columns,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.create_table(
        "removal_duties_followed",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("removal_duties_followed", "removal_duties"):
        op.drop_table(table)
