"""Holds changed while their answers are under way, by others than the ledger's claims."""

from typing import Any, Final

from sqlalchemy import Engine, bindparam, func, literal_column, select, update

from gateway.meter.holds import HoldKey
from gateway.meter.holds_sql import GIVE_BACK
from gateway.meter.postgresql import lock_operator
from gateway.meter.tables import QUOTA_HOLDS
from gateway.storage.bounded import bounded

_ROW: Final = QUOTA_HOLDS.c
# By others than the one that is eased.
_OTHERS: Final = QUOTA_HOLDS.alias("others")
_BEYOND: Final = func.coalesce(
    select(func.sum(_OTHERS.c.beyond))
    .where(
        _OTHERS.c.operator_id == bindparam("its_operator"),
        _OTHERS.c.hold_id != bindparam("its_id"),
        _OTHERS.c.until > bindparam("now"),
    )
    .scalar_subquery(),
    literal_column("0"),
)


class QuotaHolds:
    """The holds of one records store. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def give_back(self, key: HoldKey) -> None:
        """End a hold of whose answer nothing is charged. Raises what SQLAlchemy raises; it ends by
        itself then."""
        with bounded(self._engine) as connection:
            connection.execute(GIVE_BACK, {"its_operator": key.operator_id, "its_id": key.hold_id})

    def ease(self, key: HoldKey, records: int, now: int, *, needed: bool) -> None:
        """Have a hold for an answer that is late at ``now`` (seconds, UTC) keep so many ``records``,
        if it has more: all others may have the rest.

        ``needed`` tells that its answer needs the rest: that may come beyond what is left then, and so
        the rule of `Room` holds as if it was begun now. Where that does not let it, and where the
        hold has ended, nothing changes. Raises what SQLAlchemy raises.
        """
        easing = update(QUOTA_HOLDS).where(
            _ROW.operator_id == bindparam("its_operator"),
            _ROW.hold_id == bindparam("its_id"),
            _ROW.records > records,
        )
        values: dict[str, Any] = {"its_operator": key.operator_id, "its_id": key.hold_id}
        if needed:
            easing = easing.where(records > _BEYOND).values(
                beyond=_ROW.beyond + _ROW.records - records
            )
            values["now"] = now
        with bounded(self._engine) as connection:
            lock_operator(connection, key.operator_id)
            connection.execute(easing.values(records=records), values)
