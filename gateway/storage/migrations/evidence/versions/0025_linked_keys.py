"""Which keys logs had before, and have next; what evidence of credit notes proved; until when an
operator that was reminded is not refused yet."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_LINKS = "log_links"
_ANNOUNCEMENTS = "log_announcements"
_NOTES, _PROVEN = "credit_notes", "proven"
_DUTIES, _SPARED = "usage_duties", "spared_until"
_KEYS = ((_NOTES, "credit_note_id"), (_DUTIES, "operator_id"))
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))


def upgrade() -> None:
    """Create the tables and columns."""
    op.create_table(
        _LINKS,
        sa.Column("log", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        _ANNOUNCEMENTS,
        sa.Column("log", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.add_column(_NOTES, sa.Column(_PROVEN, sa.Text))
    op.add_column(_DUTIES, sa.Column(_SPARED, sa.BigInteger, nullable=False, server_default="0"))
    connection = op.get_bind()
    for name, key in _KEYS:
        known = connection.execute(sa.select(sa.column(key)).select_from(sa.table(name))).scalars()
        rows = [
            {"written": name, "row_key": json.dumps([each], ensure_ascii=False)} for each in known
        ]
        if rows:
            connection.execute(_WRITES.insert(), rows)


def downgrade() -> None:
    """Drop them."""
    op.drop_column(_DUTIES, _SPARED)
    op.drop_column(_NOTES, _PROVEN)
    op.drop_table(_ANNOUNCEMENTS)
    op.drop_table(_LINKS)
