"""A consent has a row for each duty to remove copies, by when their data life ends, and none is
written over; what was taken back while nobody could be told is spared until it can be reported."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0026"
branch_labels = None
depends_on = None

_TABLE = "consent_removals"
_LATE = (
    "finding = 0 AND"
    " (acknowledged_at IS NULL OR (acknowledged_at >= deadline AND acknowledged_at >= report_by))"
)
_INDEXES = (
    ("ix_consent_removals_owed", ["operator_id", "deadline"], "acknowledged_at IS NULL"),
    ("ix_consent_removals_late", ["deadline"], _LATE),
    (
        "ix_consent_removals_made_good",
        ["acknowledged_at"],
        "finding = 1 AND acknowledged_at IS NOT NULL",
    ),
)
_SQLITE = (
    "ALTER TABLE consent_removals RENAME TO consent_removals_former",
    "CREATE TABLE consent_removals (consent_id VARCHAR(40) NOT NULL,"
    " life_until BIGINT DEFAULT '253402300799' NOT NULL, operator_id VARCHAR(40) NOT NULL,"
    " deadline BIGINT NOT NULL, data_life_end SMALLINT NOT NULL, removed_at BIGINT,"
    " acknowledged_at BIGINT, acknowledged_by VARCHAR(80) NOT NULL,"
    " finding SMALLINT DEFAULT '0' NOT NULL, report_by BIGINT DEFAULT '0' NOT NULL,"
    " gone_until BIGINT DEFAULT '0' NOT NULL, spared_until BIGINT DEFAULT '0' NOT NULL,"
    " PRIMARY KEY (consent_id, life_until))",
)
_SQLITE_BACK = (
    "ALTER TABLE consent_removals RENAME TO consent_removals_former",
    "CREATE TABLE consent_removals (consent_id VARCHAR(40) NOT NULL,"
    " operator_id VARCHAR(40) NOT NULL, deadline BIGINT NOT NULL,"
    " data_life_end SMALLINT NOT NULL, removed_at BIGINT, acknowledged_at BIGINT,"
    " acknowledged_by VARCHAR(80) NOT NULL, finding SMALLINT DEFAULT '0' NOT NULL,"
    " report_by BIGINT DEFAULT '0' NOT NULL,"
    " life_until BIGINT DEFAULT '253402300799' NOT NULL,"
    " gone_until BIGINT DEFAULT '0' NOT NULL, PRIMARY KEY (consent_id))",
)
_SQLITE_MOVED = (
    "INSERT INTO consent_removals (consent_id, operator_id, deadline, data_life_end, removed_at,"
    " acknowledged_at, acknowledged_by, finding, report_by, life_until, gone_until)"
    " SELECT consent_id, operator_id, deadline, data_life_end, removed_at,"
    " acknowledged_at, acknowledged_by, finding, report_by, life_until, gone_until"
    " FROM consent_removals_former"
)
_POSTGRESQL = (
    "ALTER TABLE consent_removals DROP CONSTRAINT consent_removals_pkey,"
    " ADD CONSTRAINT consent_removals_pkey PRIMARY KEY (consent_id, life_until)"
)
_POSTGRESQL_BACK = (
    "ALTER TABLE consent_removals DROP CONSTRAINT consent_removals_pkey,"
    " ADD CONSTRAINT consent_removals_pkey PRIMARY KEY (consent_id)"
)
_OLDER = (
    "DELETE FROM consent_removals WHERE EXISTS (SELECT 1 FROM consent_removals AS newer"
    " WHERE newer.consent_id = consent_removals.consent_id"
    " AND newer.life_until > consent_removals.life_until)"
)
# A row is known by another key from now on: of what was logged by the former one it is told that it
# is there no more. Ids need no escaping.
_FORMER_KEYS = (
    "INSERT INTO consent_writes (written, row_key)"
    """ SELECT 'consent_removals', '["' || consent_id || '"]' FROM consent_removals"""
)
_KEYS = (
    "INSERT INTO consent_writes (written, row_key) SELECT 'consent_removals',"
    """ '["' || consent_id || '",' || life_until || ']' FROM consent_removals"""
)


def upgrade() -> None:
    """Make the end of the data life a part of the key, and add the column."""
    if op.get_context().dialect.name == "sqlite":
        _make_anew(_SQLITE)
    else:
        op.execute(_POSTGRESQL)
        op.add_column(
            _TABLE, sa.Column("spared_until", sa.BigInteger, nullable=False, server_default="0")
        )
    op.execute(_FORMER_KEYS)
    op.execute(_KEYS)


def downgrade() -> None:
    """Take it back: of each consent the newest duty is left."""
    op.execute(_KEYS)
    op.execute(_FORMER_KEYS)
    op.execute(_OLDER)
    if op.get_context().dialect.name == "sqlite":
        _make_anew(_SQLITE_BACK)
    else:
        op.execute(_POSTGRESQL_BACK)
        op.drop_column(_TABLE, "spared_until")


def _make_anew(statements: tuple[str, ...]) -> None:
    for name, _, _ in _INDEXES:
        op.drop_index(name, _TABLE)
    for statement in statements:
        op.execute(statement)
    op.execute(_SQLITE_MOVED)
    op.drop_table("consent_removals_former")
    for name, by, which in _INDEXES:
        op.create_index(name, _TABLE, by, sqlite_where=sa.text(which))
