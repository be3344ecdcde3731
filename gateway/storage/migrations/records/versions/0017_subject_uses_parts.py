"""Who used what of a company is kept in parts by the company, on PostgreSQL.

It has a row for each answer and company, and is asked for one company at a time. Where it has rows
already it is left as it is: docs/examples/part_subject_uses.sql moves it while others serve.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLE = "subject_uses"
_USUAL_PARTS = 16


def upgrade() -> None:
    """Create the table in parts, where it is empty."""
    parts = op.get_context().opts.get("partitions") or _USUAL_PARTS
    if op.get_context().dialect.name == "postgresql" and _is_empty():
        op.drop_table(_TABLE)
        _create("HASH (subject)")
        for number in range(parts):
            op.execute(
                f"CREATE TABLE {_TABLE}_{number} PARTITION OF {_TABLE}"
                f" FOR VALUES WITH (MODULUS {parts}, REMAINDER {number})"
            )


def downgrade() -> None:
    """Create the table whole, where it is empty."""
    if op.get_context().dialect.name == "postgresql" and _is_empty():
        op.drop_table(_TABLE)
        _create()


def _is_empty() -> bool:
    first = sa.select(sa.literal(1)).select_from(sa.table(_TABLE)).limit(1)
    return op.get_bind().execute(first).first() is None


def _create(partition_by: str | None = None) -> None:
    op.create_table(
        _TABLE,
        sa.Column("subject", sa.String(18), primary_key=True),
        sa.Column("usage_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        postgresql_partition_by=partition_by,
    )
