"""What requests were answered again with, and that it was is logged."""

import json
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = "usage_replays"
_INDEX = "ix_usage_replays_replayed_at"
_KEY = ("operator_id", "request_id", "chunk")
_ANSWER = 1
_REPLAYS = sa.table(
    _TABLE,
    *(sa.column(name) for name in _KEY),
    sa.column("given"),
    sa.column("entries", sa.LargeBinary),
    sa.column("replayed_at"),
)
_ANSWERS = sa.table(
    "usage_answers",
    *(sa.column(name) for name in _KEY),
    sa.column("kind"),
    sa.column("entries", sa.LargeBinary),
)
_WRITES = sa.table("consent_writes", sa.column("written"), sa.column("row_key"))


def upgrade() -> None:
    """Create the table anew; what was given again is taken for the whole answer."""
    connection = op.get_bind()
    same = sa.and_(
        _ANSWERS.c.kind == _ANSWER, *(_REPLAYS.c[name] == _ANSWERS.c[name] for name in _KEY)
    )
    before = (
        connection.execute(
            sa.select(
                *(_REPLAYS.c[name] for name in _KEY), _ANSWERS.c.entries, _REPLAYS.c.replayed_at
            ).join(_ANSWERS, same)
        )
        .mappings()
        .all()
    )
    op.drop_table(_TABLE)
    _create(
        sa.Column("given", sa.String(64), primary_key=True),
        sa.Column("entries", sa.LargeBinary, nullable=False),
    )
    rows = [
        {**row}
        | {"given": sha256(bytes(row["entries"])).hexdigest(), "entries": bytes(row["entries"])}
        for row in before
    ]
    if rows:
        connection.execute(_REPLAYS.insert(), rows)
        connection.execute(
            _WRITES.insert(),
            [
                {
                    "written": _TABLE,
                    "row_key": json.dumps(
                        [*(row[name] for name in _KEY), row["given"]],
                        ensure_ascii=False,
                        separators=(",", ":"),
                    ),
                }
                for row in rows
            ],
        )


def downgrade() -> None:
    """Create the table as it was: when each answer was given again last."""
    connection = op.get_bind()
    before = (
        connection.execute(
            sa.select(
                *(_REPLAYS.c[name] for name in _KEY),
                sa.func.max(_REPLAYS.c.replayed_at).label("replayed_at"),
            ).group_by(*(_REPLAYS.c[name] for name in _KEY))
        )
        .mappings()
        .all()
    )
    op.drop_table(_TABLE)
    _create()
    if before:
        connection.execute(_REPLAYS.insert(), [{**row} for row in before])


def _create(*given: "sa.Column[object]") -> None:
    op.create_table(
        _TABLE,
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("chunk", sa.Integer, primary_key=True, autoincrement=False),
        *given,
        sa.Column("replayed_at", sa.BigInteger, nullable=False),
    )
    op.create_index(_INDEX, _TABLE, ["operator_id", "replayed_at"])
