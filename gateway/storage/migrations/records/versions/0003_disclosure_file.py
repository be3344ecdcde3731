"""On SQLite the disclosure moves to a file of its own, attached as ``disclosure``.

A transaction over two files in WAL mode is whole in each of them, not in both: cut off
half-way it is done again from the start, so whatever is there already is made anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FILE = "disclosure"
_TABLES = ("disclosure_events", "record_revisions", "revenue_lines", "publisher_batches")


def upgrade() -> None:
    """Move the tables."""
    if op.get_context().dialect.name == "sqlite":
        _move("main", _FILE)


def downgrade() -> None:
    """Move the tables back."""
    if op.get_context().dialect.name == "sqlite":
        _move(_FILE, "main")


def _move(source: str, target: str) -> None:
    connection = op.get_bind()
    there = set(sa.inspect(connection).get_table_names(schema=source))
    for name in _TABLES:
        if name not in there:
            continue
        metadata = sa.MetaData()
        old = sa.Table(name, metadata, schema=source, autoload_with=connection)
        new = old.to_metadata(metadata, schema=target)
        new.drop(connection, checkfirst=True)
        new.create(connection)
        columns = [column.name for column in old.columns]
        connection.execute(new.insert().from_select(columns, sa.select(old)))
        old.drop(connection)
