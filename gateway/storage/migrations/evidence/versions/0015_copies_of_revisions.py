"""Copies under consents are kept by the revision: what was served is followed anew."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_COPIES = "consented_copies"
_POSITIONS = sa.table("holdings_positions", sa.column("name", sa.String))


def upgrade() -> None:
    """Create the table anew, empty: the follower fills it from the usage ledger."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.drop_table(_COPIES)
    op.create_table(
        _COPIES,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("revision_sequence", number, primary_key=True, autoincrement=False),
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("element", sa.LargeBinary, nullable=False),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
        sa.Column("disclosed_until", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )
    _follow_anew()


def downgrade() -> None:
    """Create the table as it was, empty."""
    op.drop_table(_COPIES)
    op.create_table(
        _COPIES,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("element", sa.LargeBinary, primary_key=True),
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("revision_sequence", sa.BigInteger, nullable=False),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
        sa.Column("disclosed_until", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_consented_copies_revision", _COPIES, ["operator_id", "revision_sequence"])
    _follow_anew()


def _follow_anew() -> None:
    op.execute(_POSITIONS.delete().where(_POSITIONS.c.name.startswith("usage:")))
