"""Copies put right by the stream, outages, findings that wait for the gateway to ask, and how many
of an attestation's do."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0028"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))
_KEYS = (("attestations", "attestation_id"), ("findings", "finding_id"))


def upgrade() -> None:
    """Create the tables, and add the columns."""
    op.create_table(
        "put_right_blocks",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("block", _SEQUENCE, primary_key=True, autoincrement=False),
        sa.Column("bits", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_put_right_blocks_block", "put_right_blocks", ["block", "operator_id"])
    op.create_table(
        "gateway_outages",
        sa.Column("ended", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("grace", sa.BigInteger, nullable=False),
    )
    for name, column in (("findings", "waits_since"), ("attestations", "waiting")):
        added = sa.Column(column, sa.BigInteger, nullable=False, server_default="0")
        op.add_column(name, added)
    # Their rows say more from now on. Ids need no escaping.
    for name, column in _KEYS:
        key: sa.ColumnClause[str] = sa.column(column, sa.String)
        row_key = sa.literal('["') + key + sa.literal('"]')
        rows = sa.select(sa.literal(name), row_key).select_from(sa.table(name)).order_by(key)
        op.execute(_WRITES.insert().from_select(["written", "row_key"], rows))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("attestations", "waiting")
    op.drop_column("findings", "waits_since")
    op.drop_table("gateway_outages")
    op.drop_table("put_right_blocks")
