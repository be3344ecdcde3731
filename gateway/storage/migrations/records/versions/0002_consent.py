"""Consents, delegations, removals owed; the consent a refused call named."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "consents",
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("operator_id", "request_id", name="uq_consents_operator_request"),
    )
    op.create_index("ix_consents_subject", "consents", ["subject", "consent_id"])
    op.create_index("ix_consents_operator", "consents", ["operator_id", "consent_id"])
    op.create_index(
        "ix_consents_operator_subject", "consents", ["operator_id", "subject", "consent_id"]
    )
    op.create_index(
        "ix_consents_operator_state", "consents", ["operator_id", "state", "consent_id"]
    )
    op.create_index(
        "ix_consents_due_at",
        "consents",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "consent_changes",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("consent_id", sa.String(40), nullable=False),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("actor", sa.String(16), nullable=False),
        sa.Column("actor_id", sa.String(80), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("removal_deadline", sa.BigInteger),
        sa.Column("data_life_end", sa.SmallInteger, nullable=False),
    )
    for by in ("consent", "operator", "subject"):
        column = by if by == "subject" else f"{by}_id"
        op.create_index(f"ix_consent_changes_{by}", "consent_changes", [column, "sequence"])
    op.create_table(
        "consent_use",
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("spent_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_consent_use_spent",
        "consent_use",
        ["consent_id"],
        sqlite_where=sa.text("spent_at IS NOT NULL"),
        postgresql_where=sa.text("spent_at IS NOT NULL"),
    )
    op.create_table(
        "consent_removals",
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("data_life_end", sa.SmallInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(80), nullable=False),
    )
    op.create_index(
        "ix_consent_removals_owed",
        "consent_removals",
        ["operator_id", "deadline"],
        sqlite_where=sa.text("acknowledged_at IS NULL"),
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )
    op.create_table(
        "delegations",
        sa.Column("delegation_id", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("deputy", sa.String(80), nullable=False),
        sa.Column("invitation_digest", sa.LargeBinary),
        sa.Column("invited_at", sa.BigInteger, nullable=False),
        sa.Column("valid_until", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("invitation_digest", name="uq_delegations_invitation"),
    )
    op.create_index("ix_delegations_subject", "delegations", ["subject", "delegation_id"])
    op.create_index("ix_delegations_deputy", "delegations", ["deputy"])
    op.create_table(
        "subject_keys",
        sa.Column("subject", sa.String(18), primary_key=True),
        sa.Column("thumbprint", sa.String(43), primary_key=True),
        sa.Column("jwk", sa.Text, nullable=False),
        sa.Column("registered_by", sa.String(80), nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
    )
    op.create_table(
        "consent_notices_seen",
        sa.Column("principal", sa.String(80), primary_key=True),
        sa.Column("subject", sa.String(18), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "subject_uses",
        sa.Column("subject", sa.String(18), primary_key=True),
        sa.Column("usage_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "followed",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "ix_usage_answers_consented",
        "usage_answers",
        ["operator_id", "sequence", "consent"],
        sqlite_where=sa.text("consent <> ''"),
        postgresql_where=sa.text("consent <> ''"),
    )
    op.add_column(
        "refusals", sa.Column("consent", sa.String(128), nullable=False, server_default="")
    )
    op.create_index(
        "ix_refusals_consent",
        "refusals",
        ["consent", "sequence"],
        sqlite_where=sa.text("consent <> ''"),
        postgresql_where=sa.text("consent <> ''"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index("ix_refusals_consent", "refusals")
    op.drop_column("refusals", "consent")
    op.drop_index("ix_usage_answers_consented", "usage_answers")
    for table in (
        "followed",
        "subject_uses",
        "consent_notices_seen",
        "subject_keys",
        "delegations",
        "consent_removals",
        "consent_use",
        "consent_changes",
        "consents",
    ):
        op.drop_table(table)
