"""What other regions answered is logged, chunk by chunk: what is kept of it cannot be changed or
taken away unnoticed."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None
serves_from = "0032"

_TABLE = "region_answers"
_KEY = [sa.column(name) for name in ("operator_id", "request_id", "region", "first_subject")]
_WRITES = sa.table("consent_writes", sa.column("written"), sa.column("row_key"))
_AT_ONCE = 500


def upgrade() -> None:
    """Tell the rows there are written."""
    if op.get_context().dialect.name == "sqlite":
        _tell()
    else:
        # Page by page, each for itself: what is told twice is logged once.
        with op.get_context().autocommit_block():
            _tell()


def downgrade() -> None:
    """Nothing: entries of the log stay, and the version before does not look at them."""


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
