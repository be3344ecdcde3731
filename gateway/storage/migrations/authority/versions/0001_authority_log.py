"""Authority log and used assertions, first shape."""

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
        "authority_log",
        sa.Column("sequence", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("changed_by", sa.String(64), nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "id", "version", name="uq_authority_log_kind_id_version"),
    )
    op.create_table(
        "assertion_jti",
        sa.Column("client_id", sa.String(64), primary_key=True),
        sa.Column("jti_digest", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_assertion_jti_expires_at", "assertion_jti", ["expires_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("assertion_jti")
    op.drop_table("authority_log")
