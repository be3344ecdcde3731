"""Removals owed while a consent is in force, by when they must be reported, and when to look."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLE = "consent_removals"
_LIVES = "consent_lives"
_INDEX = "ix_consent_removals_late"
_BEFORE = "finding = 0 AND (acknowledged_at IS NULL OR acknowledged_at >= deadline)"
_LATE = (
    "finding = 0 AND"
    " (acknowledged_at IS NULL OR (acknowledged_at >= deadline AND acknowledged_at >= report_by))"
)
# What is owed by now is for a consent that has ended: for all copies there are, and reported by
# the deadline.
_COLUMNS = (("report_by", 0), ("life_until", 253_402_300_799), ("gone_until", 0))
_WRITES = sa.table("consent_writes", sa.column("written"), sa.column("row_key"))


def upgrade() -> None:
    """Add the columns and the table."""
    connection = op.get_bind()
    for name, usual in _COLUMNS:
        op.add_column(
            _TABLE, sa.Column(name, sa.BigInteger, nullable=False, server_default=str(usual))
        )
    _index(_LATE)
    op.create_table(
        _LIVES,
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("look_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_consent_lives_look_at", _LIVES, ["look_at"])
    # The rows say more from now on.
    owed = connection.execute(sa.select(sa.table(_TABLE, sa.column("consent_id")))).scalars().all()
    if owed:
        keys = ({"written": _TABLE, "row_key": json.dumps([each])} for each in owed)
        connection.execute(_WRITES.insert(), list(keys))


def downgrade() -> None:
    """Drop them."""
    op.drop_table(_LIVES)
    op.drop_index(_INDEX, _TABLE)
    _create(_BEFORE)
    for name, _ in reversed(_COLUMNS):
        op.drop_column(_TABLE, name)


def _index(late: str) -> None:
    op.drop_index(_INDEX, _TABLE)
    _create(late)


def _create(late: str) -> None:
    where = sa.text(late)
    op.create_index(_INDEX, _TABLE, ["deadline"], sqlite_where=where, postgresql_where=where)
