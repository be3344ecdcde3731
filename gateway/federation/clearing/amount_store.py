"""What was told of amounts beyond list prices, what of it was not signed, and ceilings. Calls block;
any thread.

What was signed stands in the clearings themselves: nothing here changes what is owed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, Select, delete, func, insert, select

from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.federation_service_pb2 import ClearingRating
from gateway.alerts.raising import raise_alert
from gateway.federation.clearing.amount_tables import AMOUNTS, CEILINGS
from gateway.federation.clearing.tables import CLEARINGS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote

_A: Final = AMOUNTS.c
_HOUR_SECONDS: Final = 3_600


class Told(NamedTuple):
    """What a home region told of a month, and why that was not signed: "" where it was."""

    rating: ClearingRating
    refused: str


class Ceiling(NamedTuple):
    """The most that is accepted of a region, micro-yuan: for a record and for a month, None for
    no ceiling; with who set it, when (seconds, UTC) and why."""

    record: int | None
    month: int | None
    set_by: str = ""
    set_at: int = 0
    reason: str = ""


NO_CEILING: Final = Ceiling(None, None)


class SqlAmounts:
    """Amounts on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, region: str, until: int, told: Iterable[Told]) -> None:
        """Keep what was told for the clearing with a region up to ``until``, instead of what was
        kept for it before."""
        rows = [
            {
                "region": region,
                "until": until,
                "home": rating.home_region,
                "month": rating.month,
                "entries": rating.entries,
                "listed": rating.listed_micro_yuan,
                "rated": rating.rated_micro_yuan,
                "before": rating.before_micro_yuan,
                "refused": refused,
                "told": rating.SerializeToString(deterministic=True),
            }
            for rating, refused in told
        ]
        with bounded(self._engine) as connection:
            of_it = (_A.region == region, _A.until == until)
            gone = connection.execute(select(_A.home, _A.month).where(*of_it)).all()
            connection.execute(delete(AMOUNTS).where(*of_it))
            if rows:
                connection.execute(insert(AMOUNTS), rows)
            keys = {(row["home"], row["month"]) for row in rows} | {tuple(each) for each in gone}
            wrote(connection, AMOUNTS, [(region, until, *key) for key in sorted(keys)])

    def of(self, region: str, until: int) -> list[Told]:
        """Return what was told for the clearing with a region up to ``until``, in order."""
        query = (
            select(_A.told, _A.refused)
            .where(_A.region == region, _A.until == until)
            .order_by(_A.home, _A.month)
        )
        with reading(self._engine) as connection:
            return [
                Told(ClearingRating.FromString(bytes(row[0])), row[1])
                for row in connection.execute(query)
            ]

    def last_believed(
        self, region: str, home: str, month: str
    ) -> tuple[ClearingRating, int] | None:
        """Return what was told last of a month, and believed, with the end of the period of its
        clearing; None where nothing was."""
        query = (
            self._agreed(region, home)
            .where(_A.month == month, _A.refused == "")
            .order_by(_A.until.desc())
            .limit(1)
        )
        with reading(self._engine) as connection:
            told = connection.execute(query.with_only_columns(_A.told, _A.until)).first()
        return None if told is None else (ClearingRating.FromString(bytes(told[0])), told[1])

    def open_months(self, region: str, home: str) -> set[str]:
        """Return the months whose last line was not signed."""
        newest = self._agreed(region, home).with_only_columns(_A.month, func.max(_A.until))
        with reading(self._engine) as connection:
            found = connection.execute(newest.group_by(_A.month)).all()
            latest = {row[0]: row[1] for row in found}
            refused = connection.execute(
                select(_A.month, _A.until).where(
                    _A.region == region, _A.home == home, _A.refused != ""
                )
            ).all()
        return {month for month, until in refused if latest.get(month) == until}

    def ceiling(self, region: str) -> Ceiling:
        """Return the ceiling to a region."""
        return self.ceilings().get(region, NO_CEILING)

    def ceilings(self) -> Mapping[str, Ceiling]:
        """Return the ceilings that were set, by region."""
        with reading(self._engine) as connection:
            return {row[0]: Ceiling(*row[1:]) for row in connection.execute(select(CEILINGS))}

    def set_ceiling(self, region: str, ceiling: Ceiling) -> None:
        """Set the ceiling to a region, instead of the one before."""
        values = dict(zip(("record", "month", "set_by", "set_at", "reason"), ceiling, strict=True))
        with bounded(self._engine) as connection:
            kept = INSERT[connection.dialect.name](CEILINGS).values(region=region, **values)
            connection.execute(
                kept.on_conflict_do_update(index_elements=[CEILINGS.c.region], set_=values)
            )
            wrote(connection, CEILINGS, [(region,)])

    def alert(self, operator_id: str, until: int, claimed: int, accepted: int, now: int) -> None:
        """Raise the alert that what a region claims up to ``until`` was not signed."""
        hour = until // _HOUR_SECONDS
        with bounded(self._engine) as connection:
            raise_alert(
                connection,
                operator_id,
                AlertKind.ALERT_KIND_CLEARING_AMOUNT,
                hour=hour,
                purpose=0,
                started_at=hour * _HOUR_SECONDS,
                counted=claimed,
                threshold=accepted,
                now=now,
            )

    def _agreed(self, region: str, home: str) -> Select[Any]:
        return (
            select(_A.month)
            .join(CLEARINGS, (CLEARINGS.c.region == _A.region) & (CLEARINGS.c.until == _A.until))
            .where(_A.region == region, _A.home == home, CLEARINGS.c.agreed_at.is_not(None))
        )
