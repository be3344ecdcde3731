"""How often an answer was given again is counted."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
# Former code would log what rows say without the count.
serves_from = "0034"

_TABLE = "usage_replays"
_KEY = [sa.column(name) for name in ("operator_id", "request_id", "chunk", "given")]
_WRITES = sa.table("consent_writes", sa.column("written"), sa.column("row_key"))
_AT_ONCE = 500


def upgrade() -> None:
    """Add the column: what was given again before was so once at least. Tell the rows written,
    which say more now."""
    op.add_column(_TABLE, sa.Column("times", sa.BigInteger, nullable=False, server_default="1"))
    if op.get_context().dialect.name == "sqlite":
        _tell()
    else:
        # Page by page, each for itself: what is told twice is logged once.
        with op.get_context().autocommit_block():
            _tell()


def downgrade() -> None:
    """Drop it, and tell the rows written, which say less then."""
    op.drop_column(_TABLE, "times")
    _tell()


def _tell() -> None:
    connection = op.get_bind()
    query = sa.select(*_KEY).select_from(sa.table(_TABLE)).order_by(*_KEY).limit(_AT_ONCE)
    rows = connection.execute(query).all()
    while rows:
        keys = [json.dumps(list(row), ensure_ascii=False, separators=(",", ":")) for row in rows]
        connection.execute(
            _WRITES.insert(), [{"written": _TABLE, "row_key": each} for each in keys]
        )
        after = sa.tuple_(*_KEY) > sa.tuple_(*map(sa.literal, rows[-1]))
        rows = connection.execute(query.where(after)).all()
