"""Answers keep their place in the operator's usage log, and what was served.

Answers that there are get their places in the order they were metered in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ANSWERS = "usage_answers"
_REQUEST = "uq_usage_answers_request"
_COLUMNS = (
    ("kind", sa.SmallInteger),
    ("usage_index", sa.BigInteger),
    ("records_digest", sa.LargeBinary),
)


def upgrade() -> None:
    """Add the columns, and give what there is its places."""
    with op.batch_alter_table(_ANSWERS) as table:
        for name, type_ in _COLUMNS:
            table.add_column(sa.Column(name, type_))
        table.add_column(sa.Column("reversed_index", sa.BigInteger))
        # Of what there is it is made when it is logged.
        table.add_column(sa.Column("leaf_hash", sa.LargeBinary))
    heads = op.create_table(
        "usage_heads",
        sa.Column("operator_id", sa.String(40), primary_key=True),
        sa.Column("next_index", sa.BigInteger, nullable=False),
    )
    answers = sa.table(_ANSWERS, sa.column("sequence"), sa.column("operator_id"))
    for name, type_ in _COLUMNS:
        answers.append_column(sa.column(name, type_))
    _place(answers, heads)
    # SQLite cannot change a table's constraints: there it is made anew.
    with op.batch_alter_table(_ANSWERS) as table:
        for name, type_ in _COLUMNS:
            table.alter_column(name, existing_type=type_(), nullable=False)
        table.drop_constraint(_REQUEST, type_="unique")
        table.create_unique_constraint(_REQUEST, ["operator_id", "request_id", "chunk", "kind"])


def _place(answers: sa.TableClause, heads: sa.Table) -> None:
    by_operator = sa.func.row_number().over(
        partition_by=answers.c.operator_id, order_by=answers.c.sequence
    )
    placed = sa.select(answers.c.sequence, (by_operator - 1).label("place")).subquery("placed")
    op.execute(
        sa.update(answers)
        .where(answers.c.sequence == placed.c.sequence)
        .values(kind=1, records_digest=b"", usage_index=placed.c.place)
    )
    counts = sa.select(answers.c.operator_id, sa.func.count()).group_by(answers.c.operator_id)
    op.execute(sa.insert(heads).from_select(["operator_id", "next_index"], counts))


def downgrade() -> None:
    """Drop the columns; reversals, which had no place before, are gone."""
    answers = sa.table(_ANSWERS, sa.column("kind"))
    op.execute(sa.delete(answers).where(answers.c.kind != 1))
    with op.batch_alter_table(_ANSWERS) as table:
        table.drop_constraint(_REQUEST, type_="unique")
        table.create_unique_constraint(_REQUEST, ["operator_id", "request_id", "chunk"])
        for name in (*(name for name, _ in _COLUMNS), "reversed_index", "leaf_hash"):
            table.drop_column(name)
    op.drop_table("usage_heads")
