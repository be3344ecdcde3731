"""Witnesses: cosignatures of and for other regions, split views, and what was recognised."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the column."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.add_column(
        "log_checkpoints",
        sa.Column("cosignatures", sa.Text(), nullable=False, server_default=""),
    )
    op.create_table(
        "witnessed_logs",
        sa.Column("origin", sa.String(255), primary_key=True),
        sa.Column("region", sa.String(512), nullable=False),
        sa.Column("log_key", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("cosignature", sa.Text, nullable=False),
        sa.Column("cosigned_at", sa.BigInteger, nullable=False),
        sa.Column("act", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "witnessed_checkpoints",
        sa.Column("origin", sa.String(255), primary_key=True),
        sa.Column("size", number, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "split_views",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("region", sa.String(512), nullable=False),
        sa.Column("log_key", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("told_by", sa.String(512), nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
        sa.Column("cleared_at", sa.BigInteger),
        sa.Column("cleared_by", sa.String(255), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.UniqueConstraint("digest", name="uq_split_views_digest"),
    )
    op.create_index("ix_split_views_cleared", "split_views", ["cleared_at", "origin"])
    op.create_table(
        "recognitions",
        sa.Column("recognition_id", sa.String(64), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("region", sa.String(512), nullable=False),
        sa.Column("document_digest", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("transfer_id", sa.String(64), nullable=False),
        sa.Column("recognised_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.UniqueConstraint("operator_id", "request_id", name="uq_recognitions_request"),
    )


def downgrade() -> None:
    """Drop the tables and the column."""
    op.drop_table("recognitions")
    op.drop_table("split_views")
    op.drop_table("witnessed_checkpoints")
    op.drop_table("witnessed_logs")
    op.drop_column("log_checkpoints", "cosignatures")
