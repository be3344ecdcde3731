"""What operators of this region were given from other regions."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "region_answers",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("first_subject", sa.Integer, primary_key=True),
        sa.Column("region_request_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("licence", sa.String(64), nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("consent", sa.String(128), nullable=False),
        sa.Column("decision_id", sa.String(40), nullable=False),
        sa.Column("region_decision", sa.String(64), nullable=False),
        sa.Column("mapping_version", sa.Integer, nullable=False),
        sa.Column("subject_count", sa.Integer, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("region_fee", sa.BigInteger, nullable=False),
        sa.Column("own_fee", sa.BigInteger, nullable=False),
        sa.Column("receipt", sa.LargeBinary, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
    )
    op.create_index("ix_region_answers_region_served_at", "region_answers", ["region", "served_at"])
    op.create_index(
        "ix_region_answers_operator_recorded_at", "region_answers", ["operator_id", "recorded_at"]
    )
    op.create_table(
        "region_uses",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("record_id", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("first_subject", sa.Integer, nullable=False),
        sa.Column("region_request_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(18), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("own_item", sa.String(64), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("region_code", sa.String(6), nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("own_fee", sa.BigInteger, nullable=False),
    )
    for name, columns in (
        ("ix_region_uses_region_served_at", ["region", "served_at"]),
        ("ix_region_uses_region_record", ["region", "record_id"]),
        ("ix_region_uses_subject", ["subject"]),
    ):
        op.create_index(name, "region_uses", columns)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("region_uses")
    op.drop_table("region_answers")
