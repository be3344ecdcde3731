"""What consents opened of other regions' records, found by consent, and which regions are to be told
that no copy of it is held any more."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0028"
branch_labels = None
depends_on = None

_INDEX = "ix_region_answers_consent"


def upgrade() -> None:
    """Add the columns, the table and the index; of older answers it is not known."""
    if op.get_context().dialect.name == "sqlite":
        _add_index(concurrently=False)
    else:
        # First: what is done when it breaks off is done again.
        with op.get_context().autocommit_block():
            connection = op.get_bind()
            limit = connection.execute(sa.text("SHOW statement_timeout")).scalar_one()
            op.execute("SET statement_timeout = 0")
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_INDEX}")
            _add_index(concurrently=True)
            # Those after it have theirs.
            op.execute(f"SET statement_timeout = '{limit}'")
    op.add_column("region_answers", sa.Column("opened", sa.Integer))
    op.add_column("region_uses", sa.Column("opened", sa.Boolean))
    op.create_table(
        "consent_regions",
        sa.Column("consent_id", sa.String(40), primary_key=True),
        sa.Column("region", sa.String(255), primary_key=True),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("look_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("ix_consent_regions_look_at", "consent_regions", ["region", "look_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(_INDEX, "region_answers")
    op.drop_table("consent_regions")
    op.drop_column("region_uses", "opened")
    op.drop_column("region_answers", "opened")


def _add_index(*, concurrently: bool) -> None:
    under_consent = sa.text("consent <> ''")
    op.create_index(
        _INDEX,
        "region_answers",
        ["consent", "region"],
        sqlite_where=under_consent,
        postgresql_where=under_consent,
        postgresql_concurrently=concurrently,
    )
