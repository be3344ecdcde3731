"""What the gateway decides is told in order, and logged."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evidence_writes",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=True),
        sa.Column("written", sa.String(40), nullable=False),
        sa.Column("row_key", sa.String(400), nullable=False),
    )
    op.create_table(
        "audit_facts",
        sa.Column("kind", sa.String(40), primary_key=True),
        sa.Column("row_key", sa.String(400), primary_key=True),
        sa.Column("log_index", sa.BigInteger, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("log_index", name="uq_audit_facts_log_index"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("audit_facts")
    op.drop_table("evidence_writes")
