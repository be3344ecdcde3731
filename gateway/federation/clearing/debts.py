"""What this region owes others by the clearings agreed: for settlement. Calls block."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, func, select

from gateway.federation.clearing.tables import CLEARINGS
from gateway.settlement.cleared import ClearedThrough
from gateway.storage.engines import reading

_C: Final = CLEARINGS.c


class SqlClearedDebts:
    """`gateway.settlement.cleared.ClearedDebts` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def owed(self, after: Mapping[str, int]) -> Mapping[str, ClearedThrough]:
        """Return what came since, by region; see the port."""
        query = (
            select(_C.region, func.max(_C.until))
            .where(_C.agreed_at.is_not(None))
            .group_by(_C.region)
        )
        with reading(self._engine) as connection:
            newest = {row[0]: int(row[1]) for row in connection.execute(query)}
        return {
            region: ClearedThrough(
                through, self.owed_between(region, after.get(region, 0), through)
            )
            for region, through in newest.items()
        }

    def owed_between(self, region: str, after: int, through: int) -> int:
        """Return what was agreed in a time; see the port."""
        query = select(func.coalesce(func.sum(_C.owed), 0)).where(
            _C.region == region,
            _C.agreed_at.is_not(None),
            _C.until > after,
            _C.until <= through,
        )
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())
