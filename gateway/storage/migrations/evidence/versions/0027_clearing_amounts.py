"""What clearings say beyond list prices, ceilings to it, and accounts as long as regions' names."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_AMOUNTS = "clearing_amounts"
_CEILINGS = "clearing_ceilings"
_POSTINGS = "journal_postings"


def upgrade() -> None:
    """Create the tables, and widen the account."""
    op.create_table(
        _AMOUNTS,
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("until", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("home", sa.String(255), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("listed", sa.BigInteger, nullable=False),
        sa.Column("rated", sa.BigInteger, nullable=False),
        sa.Column("before", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.Text, nullable=False),
        sa.Column("told", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        _CEILINGS,
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("record", sa.BigInteger),
        sa.Column("month", sa.BigInteger),
        sa.Column("set_by", sa.String(255), nullable=False),
        sa.Column("set_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    with op.batch_alter_table(_POSTINGS) as table:
        table.alter_column(
            "account", existing_type=sa.String(255), type_=sa.String(300), existing_nullable=False
        )


def downgrade() -> None:
    """Drop them; the account stays as wide as it is."""
    op.drop_table(_CEILINGS)
    op.drop_table(_AMOUNTS)
