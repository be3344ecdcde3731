"""Special credit reports."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "credit_reports",
        sa.Column("report_id", sa.String(64), primary_key=True),
        sa.Column("issued_by", sa.String(80), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("period_from", sa.BigInteger, nullable=False),
        sa.Column("period_until", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("consent", sa.String(128), nullable=False),
        sa.Column("check_code", sa.String(16), nullable=False),
        sa.Column("disclosure_sequence", sa.BigInteger, nullable=False),
        sa.Column("stated", sa.LargeBinary, nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("document_digest", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_by", sa.String(255), nullable=False),
        sa.Column("revoked_for", sa.Text, nullable=False),
        sa.UniqueConstraint(
            "issued_by", "request_id", name="uq_credit_reports_issued_by_request_id"
        ),
    )
    op.create_index("ix_credit_reports_subject", "credit_reports", ["subject", "report_id"])
    op.create_index(
        "ix_credit_reports_kept",
        "credit_reports",
        ["expires_at"],
        sqlite_where=sa.text("document <> ''"),
        postgresql_where=sa.text("document <> ''"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("credit_reports")
