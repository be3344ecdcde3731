"""Holds in the store of the ledger: read, written and ended in its transaction."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect

from gateway.meter.holds import Hold, HoldKey
from gateway.meter.tables import QUOTA_HOLDS

_ROW: Final = QUOTA_HOLDS.c
_TAKE: Final = insert(QUOTA_HOLDS).inline().values({name: bindparam(name) for name in Hold._fields})
GIVE_BACK: Final = delete(QUOTA_HOLDS).where(
    _ROW.operator_id == bindparam("its_operator"), _ROW.hold_id == bindparam("its_id")
)
_OVER: Final = delete(QUOTA_HOLDS).where(
    _ROW.operator_id == bindparam("its_operator"), _ROW.until <= bindparam("at")
)


def held_of(operator_id: ColumnElement[str]) -> ColumnElement[int]:
    """Return what gives the records held for an operator at the bound ``now`` (seconds, UTC)."""
    return _sum_of(_ROW.records, operator_id)


def beyond_of(operator_id: ColumnElement[str]) -> ColumnElement[int]:
    """Return what gives the records that answers under way of an operator may have beyond those
    held, as `held_of` does."""
    return _sum_of(_ROW.beyond, operator_id)


def _sum_of(column: ColumnElement[int], operator_id: ColumnElement[str]) -> ColumnElement[int]:
    total = select(func.sum(column)).where(
        _ROW.operator_id == operator_id, _ROW.until > bindparam("now")
    )
    return func.coalesce(total.scalar_subquery(), literal_column("0"))


class HoldStatements:
    """The statements that write, as text for one driver."""

    def __init__(self, dialect: Dialect) -> None:
        self._take = str(_TAKE.compile(dialect=dialect))
        self._give_back = str(GIVE_BACK.compile(dialect=dialect))
        self._over = str(_OVER.compile(dialect=dialect))

    def write(
        self,
        cursor: DBAPICursor,
        holds: Collection[Hold],
        given_back: Collection[HoldKey],
        now: int,
    ) -> None:
        """See `gateway.meter.store.LedgerTransaction.hold`."""
        if given_back:
            cursor.executemany(self._give_back, list(given_back))
        if holds:
            operator_ids = {hold.operator_id for hold in holds}
            cursor.executemany(self._over, [(each, now) for each in operator_ids])
            cursor.executemany(self._take, list(holds))
