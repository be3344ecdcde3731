"""Of which form the leaves of protected items are: those of before did not bind their subject.

The salts are not at hand here. The gateway makes the tree anew as it next starts, and proves
nothing until then. Reports about such items that are kept carry proofs of before, which hold
no more: they are taken back.
"""

import json

import sqlalchemy as sa
from alembic import op

from gateway.clock import SystemClock

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_OPENNESS = sa.table("map_openness", sa.column("item"), sa.column("protected", sa.Boolean))
_REPORTS = sa.table(
    "credit_reports",
    *(sa.column(name) for name in ("report_id", "items", "document", "revoked_at")),
    *(sa.column(name) for name in ("revoked_by", "revoked_for")),
)
_WRITES = sa.table("evidence_writes", sa.column("written"), sa.column("row_key"))
_WHY = "proved in a form that holds no more; have it issued anew"


def upgrade() -> None:
    """Add the column, and take back the reports."""
    column = sa.Column("form", sa.SmallInteger, nullable=False, server_default="1")
    op.add_column("map_head", column)
    connection = op.get_bind()
    protected = set(
        connection.execute(sa.select(_OPENNESS.c.item).where(_OPENNESS.c.protected)).scalars()
    )
    kept = connection.execute(
        sa.select(_REPORTS.c.report_id, _REPORTS.c["items"]).where(_REPORTS.c.document != "")
    ).all()
    over = [report_id for report_id, items in kept if protected.intersection(items.split())]
    if not over:
        return
    connection.execute(
        sa.update(_REPORTS)
        .where(_REPORTS.c.report_id == sa.bindparam("own"))
        .values(
            document="", revoked_at=SystemClock().now(), revoked_by="upgrade", revoked_for=_WHY
        ),
        [{"own": each} for each in over],
    )
    rows = [{"written": "credit_reports", "row_key": json.dumps([each])} for each in over]
    connection.execute(_WRITES.insert(), rows)


def downgrade() -> None:
    """Drop it: to a gateway of before the tree is damaged, so it proves nothing by it."""
    op.drop_column("map_head", "form")
