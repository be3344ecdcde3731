"""Logs of other regions are told apart by origin and key: an origin is only what a region says."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_LOGS, _CHECKPOINTS = "witnessed_logs", "witnessed_checkpoints"
_KEYS = {_LOGS: ["origin", "log_key"], _CHECKPOINTS: ["origin", "log_key", "size"]}
_BEFORE = {_LOGS: ["origin"], _CHECKPOINTS: ["origin", "size"]}


def upgrade() -> None:
    """Add the key to what was cosigned, and to what tells logs apart."""
    op.add_column(_CHECKPOINTS, sa.Column("log_key", sa.Text, nullable=False, server_default=""))
    logs = sa.table(_LOGS, sa.column("origin"), sa.column("log_key"))
    kept = sa.table(_CHECKPOINTS, sa.column("origin"), sa.column("log_key"))
    key = sa.select(logs.c.log_key).where(logs.c.origin == kept.c.origin).scalar_subquery()
    op.execute(sa.update(kept).values(log_key=sa.func.coalesce(key, "")))
    _keyed_by(_KEYS)


def downgrade() -> None:
    """Tell logs apart by origin alone: of one origin the first key stays."""
    connection = op.get_bind()
    logs = sa.table(_LOGS, sa.column("origin"), sa.column("log_key"), sa.column("act"))
    kept = sa.table(_CHECKPOINTS, sa.column("origin"), sa.column("log_key"))
    found = connection.execute(
        sa.select(logs.c.origin, logs.c.log_key).order_by(logs.c.origin, logs.c.act)
    ).all()
    first = {}
    for origin, log_key in found:
        first.setdefault(origin, log_key)
    for origin, log_key in first.items():
        for table in (logs, kept):
            connection.execute(
                sa.delete(table).where(table.c.origin == origin, table.c.log_key != log_key)
            )
    _keyed_by(_BEFORE)
    op.drop_column(_CHECKPOINTS, "log_key")


def _keyed_by(keys: dict[str, list[str]]) -> None:
    for table, columns in keys.items():
        # SQLite gives a primary key no name, and has the table made anew for another.
        with op.batch_alter_table(
            table, naming_convention={"pk": "%(table_name)s_pkey"}
        ) as changed:
            changed.drop_constraint(f"{table}_pkey", type_="primary")
            changed.create_primary_key(f"{table}_pkey", columns)
