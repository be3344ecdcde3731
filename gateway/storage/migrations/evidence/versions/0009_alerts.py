"""Alerts of unusual use."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "alerts",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("counted", sa.BigInteger, nullable=False),
        sa.Column("threshold", sa.BigInteger, nullable=False),
        sa.Column("raised_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(255), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.UniqueConstraint("operator_id", "kind", "hour", "purpose", name="uq_alerts_about"),
    )
    op.create_index("ix_alerts_acknowledged", "alerts", ["acknowledged_at", "number"])
    op.create_table(
        "alert_followed",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "alert_hours",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("purpose", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("records", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "alert_subjects",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sketch", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("alert_subjects", "alert_hours", "alert_followed", "alerts"):
        op.drop_table(table)
