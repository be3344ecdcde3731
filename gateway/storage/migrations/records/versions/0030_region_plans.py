"""What other regions are asked is kept before it is sent; their directories' notes are kept, and
those that denied what was proved."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "region_plans",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("region_request_id", sa.String(64), nullable=False),
        sa.Column("subjects", sa.LargeBinary, nullable=False),
        sa.Column("subjects_digest", sa.LargeBinary, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("mapping_version", sa.Integer, nullable=False),
        sa.Column("proof", sa.SmallInteger, nullable=False),
        sa.Column("directory_time", sa.BigInteger),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("reached", sa.Integer, nullable=False),
        sa.Column("disbelieved_at", sa.BigInteger),
    )
    op.create_table(
        "region_directories",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("made_at", sa.BigInteger, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("fetched_at", sa.BigInteger, nullable=False),
        sa.Column("log_size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "region_directory_faults",
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("made_at", sa.BigInteger, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("filter", sa.LargeBinary, nullable=False),
        sa.Column("log_size", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        sa.Column("region_request_id", sa.String(64), nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("region_directory_faults")
    op.drop_table("region_directories")
    op.drop_table("region_plans")
