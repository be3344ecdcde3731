"""How often what another region gave was given again is counted here."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None
# Nothing is taken from former code; but where it logs, it takes from the queue what it is told of
# this table, and does not log it.
serves_from = "0035"

_TABLE = "region_replays"


def upgrade() -> None:
    """Create the table; what was given again before is not known."""
    op.create_table(
        _TABLE,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("first_subject", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("given", sa.String(64), primary_key=True),
        sa.Column("records", sa.Text, nullable=False),
        sa.Column("replayed_at", sa.BigInteger, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)
