"""Merkle logs: tiles, entries, checkpoints; the log of decisions."""

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
        "logs",
        sa.Column("log", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("salts", sa.LargeBinary),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "log_tiles",
        sa.Column("log", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "log_bundles",
        sa.Column("log", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("log", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("size", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "disclosure_log_heads",
        sa.Column("log_index", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "ix_disclosure_log_heads_event", "disclosure_log_heads", ["event_sequence", "log_index"]
    )
    _create_decisions()


def _create_decisions() -> None:
    op.create_table(
        "audit_decisions",
        sa.Column("log_index", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("decision_id", sa.String(40), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("outcome", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("source", sa.SmallInteger, nullable=False),
        sa.Column("source_sequence", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("source", "source_sequence", name="uq_audit_decisions_source"),
    )
    op.create_index("ix_audit_decisions_decision", "audit_decisions", ["decision_id"])
    op.create_index("ix_audit_decisions_at", "audit_decisions", ["at", "log_index"])
    op.create_index(
        "ix_audit_decisions_operator", "audit_decisions", ["operator_id", "at", "log_index"]
    )
    op.create_index(
        "ix_audit_decisions_client", "audit_decisions", ["client_id", "at", "log_index"]
    )
    op.create_index(
        "ix_audit_decisions_refused",
        "audit_decisions",
        ["reason", "at", "log_index"],
        sqlite_where=sa.text("reason <> 0"),
        postgresql_where=sa.text("reason <> 0"),
    )
    op.create_table(
        "audit_followed",
        sa.Column("source", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit_gaps",
        sa.Column("source", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit_lost",
        sa.Column("source", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("first", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "audit_lost",
        "audit_gaps",
        "audit_followed",
        "audit_decisions",
        "disclosure_log_heads",
        "log_checkpoints",
        "log_bundles",
        "log_tiles",
        "logs",
    ):
        op.drop_table(table)
