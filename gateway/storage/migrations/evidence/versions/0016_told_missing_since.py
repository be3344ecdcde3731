"""From when on an answer given again excuses that a copy told missing is held."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TOLD = sa.table("told_missing", sa.column("operator_id"), sa.column("block"), sa.column("since"))
_ATTESTED = sa.table("attestations", sa.column("operator_id"), sa.column("at"))
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))


def upgrade() -> None:
    """Add the column: what was told before was told by the last attestation."""
    op.add_column(
        "told_missing", sa.Column("since", sa.BigInteger, nullable=False, server_default="0")
    )
    last = (
        sa.select(sa.func.coalesce(sa.func.max(_ATTESTED.c.at), 0))
        .where(_ATTESTED.c.operator_id == _TOLD.c.operator_id)
        .scalar_subquery()
    )
    connection = op.get_bind()
    changed = connection.execute(
        _TOLD.update().values(since=last).returning(_TOLD.c.operator_id, _TOLD.c.block)
    ).all()
    if changed:
        connection.execute(
            _WRITES.insert(),
            [
                {
                    "written": "told_missing",
                    "row_key": json.dumps([*row], ensure_ascii=False, separators=(",", ":")),
                }
                for row in changed
            ],
        )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("told_missing", "since")
