"""What the requests of a group were answered before, on SQLite: one statement for them all.

Each request is a row of parameters: to give them as JSON and take that apart costs as much as
to look for them. Statements are kept by their number of rows, which is a power of two; rows that
nothing is asked by are null, and equal nothing.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    String,
    column,
    literal_column,
    select,
    union_all,
    values,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPICursor

from gateway.meter.model import AnswerKey, EarlierAnswer, UsageClaim, UsageRow
from gateway.meter.store import EARLIER_COLUMNS, IS_ANSWER, USAGE_COLUMNS, text_of
from gateway.meter.tables import USAGE

_NONE: Final = literal_column("0")
_NOBODY: Final = (None,) * len(AnswerKey._fields)


def earlier(cursor: DBAPICursor, claims: Iterable[UsageClaim]) -> list[EarlierAnswer]:
    """See `gateway.meter.store.LedgerTransaction.earlier`."""
    rows, parameters = _asked(claims)
    cursor.execute(_earlier(rows), parameters)
    return [EarlierAnswer(*row) for row in cursor.fetchall()]


def answered(cursor: DBAPICursor, claims: Iterable[UsageClaim]) -> list[UsageRow]:
    """See `gateway.meter.store.LedgerTransaction.answered`."""
    rows, parameters = _asked(claims)
    cursor.execute(_answered(rows), parameters)
    return [UsageRow(*row) for row in cursor.fetchall()]


def _asked(claims: Iterable[UsageClaim]) -> tuple[int, list[object]]:
    """Return how many rows a statement is to have, and its parameters."""
    asked: list[tuple[object, ...]] = [
        (claim.operator_id, claim.request_id, claim.chunk) for claim in claims
    ]
    rows = 1 << (len(asked) - 1).bit_length()
    asked += [_NOBODY] * (rows - len(asked))
    return rows, list(chain.from_iterable(asked))


@cache
def _earlier(rows: int) -> str:
    asked = _table(rows)
    of_request = _of_request(asked)
    # Without an offset SQLAlchemy would give it a parameter.
    first = of_request.order_by(USAGE.c.chunk).limit(literal_column("1")).offset(_NONE)
    own = of_request.where(USAGE.c.chunk == asked.c.chunk)
    # The answer of the first chunk is the first, where it is there.
    others = _each(asked, own).where(asked.c.chunk > _NONE)
    return _found(EARLIER_COLUMNS, union_all(others, _each(asked, first)))


@cache
def _answered(rows: int) -> str:
    asked = _table(rows)
    own = _of_request(asked).where(USAGE.c.chunk == asked.c.chunk)
    return _found(USAGE_COLUMNS, _each(asked, own))


def _found(columns: Sequence[ColumnElement[Any]], sequences: Any) -> str:
    # By their sequences: of a join SQLite would choose by the number of rows, one day to go
    # through the whole ledger, which side to begin with.
    statement = select(*columns).where(USAGE.c.sequence.in_(sequences))
    return text_of(statement, sqlite.dialect())


def _each(asked: CTE, found: Select[int]) -> Select[int]:
    """Return the statement for what is found of each request that is asked for."""
    return select(found.correlate(asked).scalar_subquery()).select_from(asked)


def _of_request(asked: CTE) -> Select[int]:
    return select(USAGE.c.sequence).where(
        USAGE.c.operator_id == asked.c.operator_id,
        USAGE.c.request_id == asked.c.request_id,
        IS_ANSWER,
    )


def _table(rows: int) -> CTE:
    """Return the table of what is asked for, of parameters."""
    columns = (
        column("operator_id", String),
        column("request_id", String),
        column("chunk", Integer),
    )
    return values(*columns, name="asked").data([("", "", 0)] * rows).cte("asked")
