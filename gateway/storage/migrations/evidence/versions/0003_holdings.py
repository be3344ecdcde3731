"""What operators were served, and the digests of all revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "revision_blocks",
        sa.Column("block", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("untils", sa.LargeBinary, nullable=False),
        sa.Column("elements", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "ended_blocks",
        sa.Column("block", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("ended", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "served_blocks",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("block", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("whole", sa.LargeBinary, nullable=False),
        sa.Column("cut", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_served_blocks_block", "served_blocks", ["block", "operator_id"])
    op.create_table(
        "consented_copies",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("element", sa.LargeBinary, primary_key=True),
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("revision_sequence", sa.BigInteger, nullable=False),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
        sa.Column("disclosed_until", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "ix_consented_copies_revision", "consented_copies", ["operator_id", "revision_sequence"]
    )
    op.create_table(
        "holdings_positions",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "reconciliation_keys",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("checksum_key", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "reconciliation_keys",
        "holdings_positions",
        "consented_copies",
        "served_blocks",
        "ended_blocks",
        "revision_blocks",
    ):
        op.drop_table(table)
