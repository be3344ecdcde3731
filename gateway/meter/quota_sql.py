"""Counts of quotas in the store of the ledger: read and written in its transaction."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Text, cast, func, literal_column, select
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect

from gateway.meter.holds import DayCount
from gateway.meter.model import QuotaDay
from gateway.meter.tables import LICENCE_USE, QUOTA
from gateway.storage.inserts import INSERT


def borne_of(
    dialect: str, operator_id: ColumnElement[str], day: ColumnElement[int]
) -> ColumnElement[str]:
    """Return what gives the counts of an operator's licences on a day, as a JSON object."""
    use = LICENCE_USE.c
    borne = {
        "sqlite": func.json_group_object(use.licence, use.used),
        "postgresql": cast(func.json_object_agg(use.licence, use.used), Text),
    }[dialect]
    query = select(borne).where(use.operator_id == operator_id, use.day == day)
    return func.coalesce(query.scalar_subquery(), literal_column("'{}'"))


class QuotaStatements:
    """The statements that write, as text for one driver."""

    def __init__(self, dialect: Dialect) -> None:
        self._used, self._borne = (
            str(
                add.on_conflict_do_update(
                    index_elements=[*table.primary_key], set_={"used": add.excluded.used}
                ).compile(dialect=dialect)
            )
            for table in (QUOTA, LICENCE_USE)
            for add in (INSERT[dialect.name](table),)
        )

    def write(self, cursor: DBAPICursor, grown: Mapping[QuotaDay, DayCount]) -> None:
        """Write the counts of days that grew, by licence too."""
        if not grown:
            return
        cursor.executemany(self._used, [(*day, count.used) for day, count in grown.items()])
        borne = [(*day, *each) for day, count in grown.items() for each in count.by_licence.items()]
        cursor.executemany(self._borne, borne)
