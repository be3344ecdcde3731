"""When copies were read that were attested, by when copies drawn must be shown for certificates to
count, what is put off of rectified false attestations, and removals that may be gone by an earlier word."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0025"
branch_labels = None
depends_on = None

_DUTIES = "removal_duties"
_SAID = "ix_removal_duties_said"
_WHERE = "said_answers IS NOT NULL"
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))
_KEYS = (
    ("attestations", "attestation_id"),
    ("challenges", "challenge_id"),
    ("findings", "finding_id"),
)


def upgrade() -> None:
    """Add the columns, and an index."""
    op.add_column("attestations", sa.Column("read_at", sa.BigInteger))
    op.add_column("challenges", sa.Column("show_by", sa.BigInteger))
    op.add_column(
        "findings", sa.Column("put_off", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column(_DUTIES, sa.Column("said_answers", sa.BigInteger))
    op.add_column(_DUTIES, sa.Column("said_since", sa.BigInteger))
    where = sa.text(_WHERE)
    op.create_index(_SAID, _DUTIES, ["said_answers"], sqlite_where=where, postgresql_where=where)
    # Their rows say more from now on. Ids need no escaping.
    for name, column in _KEYS:
        key: sa.ColumnClause[str] = sa.column(column, sa.String)
        row_key = sa.literal('["') + key + sa.literal('"]')
        rows = sa.select(sa.literal(name), row_key).select_from(sa.table(name)).order_by(key)
        op.execute(_WRITES.insert().from_select(["written", "row_key"], rows))


def downgrade() -> None:
    """Drop them."""
    op.drop_index(_SAID, _DUTIES)
    op.drop_column(_DUTIES, "said_since")
    op.drop_column(_DUTIES, "said_answers")
    op.drop_column("findings", "put_off")
    op.drop_column("challenges", "show_by")
    op.drop_column("attestations", "read_at")
