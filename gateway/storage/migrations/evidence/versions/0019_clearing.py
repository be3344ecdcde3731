"""Clearing with other regions: what was agreed, disputes, evidence on them, failures."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "clearings",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("proposing", sa.String(255), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("acceptance", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("agreed_at", sa.BigInteger()),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("adjusted", sa.BigInteger(), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("disputes", sa.Integer(), nullable=False),
        sa.Column("under_way", sa.Integer(), nullable=False),
        sa.Column("ledger_entries", sa.BigInteger(), nullable=False),
        sa.Column("elements", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("region", "start", name="uq_clearings_region_start"),
    )
    op.create_index("ix_clearings_region_until", "clearings", ["region", "until"])
    op.create_table(
        "clearing_disputes",
        sa.Column("dispute_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("home_entry", sa.Text(), nullable=False),
        sa.Column("asking_entry", sa.Text(), nullable=False),
        sa.Column("supported", sa.SmallInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger()),
        sa.Column("stands", sa.SmallInteger(), nullable=False),
        sa.Column("resolved_by", sa.String(255), nullable=False),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.create_index("ix_clearing_disputes_region", "clearing_disputes", ["region", "closed"])
    op.create_table(
        "clearing_evidence",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("until", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "clearing_failures",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
    )
    op.create_table(
        "clearing_wanted",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "clearing_wanted",
        "clearing_failures",
        "clearing_evidence",
        "clearing_disputes",
        "clearings",
    ):
        op.drop_table(table)
