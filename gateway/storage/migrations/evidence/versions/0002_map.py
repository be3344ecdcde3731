"""The disclosure map."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "map_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("event_sequence", sa.BigInteger, nullable=False),
        sa.Column("map_time", sa.BigInteger, nullable=False),
        sa.Column("holds_until", sa.BigInteger, nullable=False),
        sa.Column("protected_holds_until", sa.BigInteger, nullable=False),
        sa.Column("public_root", sa.LargeBinary, nullable=False),
        sa.Column("protected_root", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "map_members",
        sa.Column("subject", sa.String(18), primary_key=True),
        sa.Column("item", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("disclosed_from", sa.BigInteger, nullable=False),
        sa.Column("disclosed_until", sa.BigInteger, nullable=False),
        sa.Column("changes_at", sa.BigInteger, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_map_members_changes_at",
        "map_members",
        ["protected", "changes_at"],
        sqlite_where=sa.text("changes_at < 253402300799"),
        postgresql_where=sa.text("changes_at < 253402300799"),
    )
    op.create_table(
        "map_sets",
        sa.Column("subject", sa.String(18), primary_key=True),
        sa.Column("item", sa.String(64), primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("salted_by", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "map_tiles",
        sa.Column("place", _Sequence, primary_key=True, autoincrement=False),
        sa.Column("tile", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "map_openness",
        sa.Column("item", sa.String(64), primary_key=True),
        sa.Column("from_event", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("protected", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("map_openness", "map_tiles", "map_sets", "map_members", "map_head"):
        op.drop_table(table)
