"""Settlement: closed months, statements, journal, credit notes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "settlement_closings",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("usage_size", sa.BigInteger, nullable=False),
        sa.Column("ledger_sequence", sa.BigInteger, nullable=False),
        sa.Column("authority_sequence", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_settlement_closings_month", "settlement_closings", ["month", "operator_id"])
    op.create_table(
        "settlement_months",
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("closed_by", sa.String(255), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("closed_by", "request_id", name="uq_settlement_months_request"),
    )
    op.create_table(
        "journal_entries",
        sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("about", sa.String(128), nullable=False),
        sa.Column("booked_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint(
            "operator_id", "month", "kind", "about", name="uq_journal_entries_operator"
        ),
    )
    op.create_index("ix_journal_entries_month", "journal_entries", ["month", "entry"])
    op.create_table(
        "journal_postings",
        sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("debit", sa.BigInteger, nullable=False),
        sa.Column("credit", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_journal_postings_account", "journal_postings", ["account", "entry"])
    op.create_table(
        "credit_notes",
        sa.Column("credit_note_id", sa.String(128), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("evidence", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_credit_notes_month", "credit_notes", ["operator_id", "month"])
    op.create_table(
        "credited_uses",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("usage_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("credit_note_id", sa.String(128), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "credited_uses",
        "credit_notes",
        "journal_postings",
        "journal_entries",
        "settlement_months",
        "settlement_closings",
    ):
        op.drop_table(table)
