"""Disclosure and usage ledger, first shape."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "disclosure_events",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("disclosed_from", sa.BigInteger, nullable=False),
        sa.Column("disclosed_until", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("published_by", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "record_revisions",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("line_no", sa.Integer, nullable=False),
        sa.Column("disclosed_from", sa.BigInteger, nullable=False),
        sa.Column("disclosed_until", sa.BigInteger, nullable=False),
        sa.Column("ended_by", sa.BigInteger, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("record_id", "revision", name="uq_record_revisions_record_revision"),
    )
    op.create_index(
        "ix_record_revisions_live_subject",
        "record_revisions",
        ["subject"],
        sqlite_where=sa.text("ended_by = 0"),
        postgresql_where=sa.text("ended_by = 0"),
    )
    op.create_table(
        "revenue_lines",
        sa.Column("line_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("region", sa.String(6), nullable=False),
        sa.UniqueConstraint("item", "source", "region", name="uq_revenue_lines_item_source_region"),
    )
    op.create_table(
        "publisher_batches",
        sa.Column("publisher", sa.String(64), primary_key=True),
        sa.Column("batch_id", sa.String(128), primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("published", sa.Integer, nullable=False),
        sa.Column("unchanged", sa.Integer, nullable=False),
        sa.Column("rejections", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "usage_answers",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("chunk", sa.Integer, nullable=False),
        sa.Column("payload_digest", sa.LargeBinary, nullable=False),
        sa.Column("licence", sa.String(64), nullable=False),
        sa.Column("consent", sa.String(128), nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("decision_id", sa.String(40), nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.Column("disclosure_sequence", sa.BigInteger, nullable=False),
        sa.Column("entry_count", sa.Integer, nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("operator_id", "request_id", "chunk", name="uq_usage_answers_request"),
    )
    op.create_index(
        "ix_usage_answers_operator_sequence", "usage_answers", ["operator_id", "sequence"]
    )
    op.create_index(
        "ix_usage_answers_operator_served_at", "usage_answers", ["operator_id", "served_at"]
    )
    op.create_table(
        "quota_use",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("used", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("method", sa.String(100), nullable=False),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "refusals",
        "quota_use",
        "usage_answers",
        "publisher_batches",
        "revenue_lines",
        "record_revisions",
        "disclosure_events",
    ):
        op.drop_table(table)
