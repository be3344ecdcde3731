"""Attestations, findings, stages, challenges."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "attestations",
        sa.Column("attestation_id", sa.String(40), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("copies", sa.BigInteger, nullable=False),
        sa.Column("disclosure_sequence", sa.BigInteger, nullable=False),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("rectified", sa.BigInteger, nullable=False),
        sa.Column("standing", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("certificate", sa.Text, nullable=False),
        sa.Column("certificate_until", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("operator_id", "request_id", name="uq_attestations_request"),
        sa.UniqueConstraint("operator_id", "number", name="uq_attestations_number"),
    )
    op.create_table(
        "findings",
        sa.Column("finding_id", sa.String(40), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("held_digest", sa.LargeBinary, nullable=False),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        sa.Column("revision_sequence", sa.BigInteger, nullable=False),
        sa.Column("copy_digest", sa.LargeBinary, nullable=False),
        sa.Column("attestation_id", sa.String(40), nullable=False),
        sa.Column("detected_at", sa.BigInteger, nullable=False),
        sa.Column("counted_from", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("pardoned", sa.Boolean, nullable=False),
        sa.Column("contest_statement", sa.Text, nullable=False),
        sa.Column("evidence_digest", sa.LargeBinary, nullable=False),
        sa.Column("contested_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("decided_by", sa.String(80), nullable=False),
        sa.Column("decision_reason", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_findings_operator",
        "findings",
        ["operator_id", "finding_id"],
    )
    op.create_index(
        "ix_findings_attestation",
        "findings",
        ["attestation_id", "finding_id"],
    )
    op.create_index(
        "uq_findings_standing",
        "findings",
        ["operator_id", "kind", "record_id", "event_sequence", "copy_digest"],
        unique=True,
        sqlite_where=sa.text("closed_at = 0"),
        postgresql_where=sa.text("closed_at = 0"),
    )
    op.create_index(
        "ix_findings_contested",
        "findings",
        ["operator_id", "contested_at"],
        sqlite_where=sa.text("contested_at > 0"),
        postgresql_where=sa.text("contested_at > 0"),
    )
    op.create_index(
        "ix_findings_event",
        "findings",
        ["operator_id", "event_sequence"],
        sqlite_where=sa.text("kind = 10"),
        postgresql_where=sa.text("kind = 10"),
    )
    op.create_index(
        "ix_findings_false",
        "findings",
        ["operator_id", "closed_at"],
        sqlite_where=sa.text("kind = 11"),
        postgresql_where=sa.text("kind = 11"),
    )
    op.create_table(
        "finding_evidence",
        sa.Column("finding_id", sa.String(40), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("evidence", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "ix_finding_evidence_operator",
        "finding_evidence",
        ["operator_id", "at"],
    )
    op.create_index("ix_finding_evidence_at", "finding_evidence", ["at"])
    op.create_table(
        "conformance_standings",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("stage", sa.SmallInteger, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("touched", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("settle_at", sa.BigInteger, nullable=False),
        sa.Column("attestation_due", sa.BigInteger, nullable=False),
        sa.Column("challenged", sa.BigInteger, nullable=False),
        sa.Column("confirmed", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stage_changes",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("stage", sa.SmallInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("standing", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "ix_stage_changes_operator",
        "stage_changes",
        ["operator_id", "sequence"],
    )
    op.create_table(
        "challenges",
        sa.Column("challenge_id", sa.String(40), primary_key=True),
        sa.Column("operator_id", sa.String(40), nullable=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("revision_sequence", sa.BigInteger, nullable=False),
        sa.Column("copy_digest", sa.LargeBinary, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("attestation_id", sa.String(40), nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("confirmed", sa.Boolean, nullable=False),
        sa.Column("finding_id", sa.String(40), nullable=False),
    )
    op.create_index(
        "ix_challenges_open",
        "challenges",
        ["operator_id", "challenge_id"],
        sqlite_where=sa.text("closed_at = 0"),
        postgresql_where=sa.text("closed_at = 0"),
    )
    op.create_index(
        "ix_challenges_deadline",
        "challenges",
        ["deadline"],
        sqlite_where=sa.text("closed_at = 0"),
        postgresql_where=sa.text("closed_at = 0"),
    )
    op.create_index(
        "ix_challenges_closed",
        "challenges",
        ["closed_at"],
        sqlite_where=sa.text("closed_at > 0"),
        postgresql_where=sa.text("closed_at > 0"),
    )
    op.create_table(
        "challenge_draws",
        sa.Column("attestation_id", sa.String(40), primary_key=True),
        sa.Column("challenge_id", sa.String(40), primary_key=True),
    )
    op.create_index(
        "ix_challenge_draws_challenge",
        "challenge_draws",
        ["challenge_id"],
    )
    op.create_table(
        "told_missing",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("block", sa.BigInteger, primary_key=True),
        sa.Column("answers", sa.BigInteger, nullable=False),
        sa.Column("bits", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "told_missing",
        "challenge_draws",
        "challenges",
        "stage_changes",
        "conformance_standings",
        "finding_evidence",
        "findings",
        "attestations",
    ):
        op.drop_table(table)
