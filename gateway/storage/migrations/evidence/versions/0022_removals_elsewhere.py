"""Removals owed for events of other regions, and which region a finding is about."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TABLE = "region_removals"
_FINDINGS = "findings"
_STANDING = "uq_findings_standing"
_WITHOUT = ["operator_id", "kind", "record_id", "event_sequence", "copy_digest"]
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))


def upgrade() -> None:
    """Create the table, and add the column."""
    op.create_table(
        _TABLE,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("region", sa.String(255), nullable=False),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("owed_since", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(64), nullable=False),
        sa.Column("finding", sa.SmallInteger, nullable=False),
    )
    op.create_index("ix_region_removals_event", _TABLE, ["region", "event_sequence"])
    for name, columns, where in (
        ("owed", ["operator_id", "deadline"], "acknowledged_at IS NULL"),
        ("deadline", ["deadline"], "acknowledged_at IS NULL AND finding = 0"),
        ("finding", ["finding"], "finding IN (1, 3)"),
    ):
        op.create_index(
            f"ix_region_removals_{name}",
            _TABLE,
            columns,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.add_column(_FINDINGS, sa.Column("region", sa.String(255), nullable=False, server_default=""))
    _index([*_WITHOUT, "region"])
    # The rows say more from now on.
    connection = op.get_bind()
    found = connection.execute(sa.select(sa.table(_FINDINGS, sa.column("finding_id"))))
    if keys := found.scalars().all():
        rows = ({"written": _FINDINGS, "row_key": json.dumps([each])} for each in keys)
        connection.execute(_WRITES.insert(), list(rows))


def downgrade() -> None:
    """Drop them."""
    _index(_WITHOUT)
    op.drop_column(_FINDINGS, "region")
    op.drop_table(_TABLE)


def _index(columns: list[str]) -> None:
    op.drop_index(_STANDING, _FINDINGS)
    where = sa.text("closed_at = 0")
    op.create_index(
        _STANDING, _FINDINGS, columns, unique=True, sqlite_where=where, postgresql_where=where
    )
