"""What counted against an operator's daily quota, day by day, for who looks at it afterwards."""

from collections.abc import Mapping

from sqlalchemy import Engine, select

from gateway.meter.holds import DayCount, DayUse
from gateway.meter.tables import LICENCE_USE, QUOTA
from gateway.storage.engines import reading, snapshot


class SqlQuotaUse:
    """Reads the counters of quotas on SQLite and PostgreSQL. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def by_day(self, operator_id: str, first: int, last: int) -> Mapping[int, int]:
        """Return the records counted on each day from ``first`` to ``last``, both included.

        Days are UTC days since the epoch; those without use are left out.
        """
        query = select(QUOTA.c.day, QUOTA.c.used).where(
            QUOTA.c.operator_id == operator_id, QUOTA.c.day.between(first, last)
        )
        with reading(self._engine) as connection:
            return {row.day: row.used for row in connection.execute(query)}

    def on_day(self, operator_id: str, day: int) -> DayCount:
        """Return what counts on a UTC day against each licence."""
        total = select(QUOTA.c.used).where(QUOTA.c.operator_id == operator_id, QUOTA.c.day == day)
        borne = select(LICENCE_USE.c.licence, LICENCE_USE.c.used).where(
            LICENCE_USE.c.operator_id == operator_id, LICENCE_USE.c.day == day
        )
        with snapshot(self._engine) as connection:
            used = connection.execute(total).scalar() or 0
            by_licence = {row.licence: row.used for row in connection.execute(borne)}
        return DayCount(DayUse(used, 0, by_licence))
