"""What is tried, and has failed, on the way to a clearing. Calls block; any thread."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Engine, delete, select

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.raising import raise_alert
from gateway.federation.clearing.tables import FAILURES, WANTED
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT

_HOUR_SECONDS: Final = 3_600


class Failure(NamedTuple):
    """Why clearing with a region failed last, since when (seconds, UTC), and how often."""

    why: str
    since: int
    attempts: int


class SqlAttempts:
    """Wishes and failures by region, on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def fail(self, region: str, failure: str, now: int) -> None:
        """Keep why clearing with a region failed at ``now`` (seconds, UTC)."""
        with bounded(self._engine) as connection:
            kept = INSERT[connection.dialect.name](FAILURES).values(
                region=region, failure=failure, since=now, attempts=1
            )
            connection.execute(
                kept.on_conflict_do_update(
                    index_elements=[FAILURES.c.region],
                    set_={"failure": failure, "attempts": FAILURES.c.attempts + 1},
                )
            )

    def failures(self) -> Mapping[str, Failure]:
        """Return why clearing failed last, by region."""
        with reading(self._engine) as connection:
            return {
                row.region: Failure(row.failure, row.since, row.attempts)
                for row in connection.execute(select(FAILURES))
            }

    def want(self, region: str, until: int) -> None:
        """Keep that clearing with a region is wanted at once, up to ``until``."""
        with bounded(self._engine) as connection:
            kept = INSERT[connection.dialect.name](WANTED).values(region=region, until=until)
            connection.execute(
                kept.on_conflict_do_update(index_elements=[WANTED.c.region], set_={"until": until})
            )

    def wanted(self) -> Mapping[str, int]:
        """Return up to when clearing is wanted at once, by region."""
        with reading(self._engine) as connection:
            return {row.region: row.until for row in connection.execute(select(WANTED))}

    def tried(self, region: str, until: int) -> None:
        """Forget that clearing was wanted up to ``until``: it was tried."""
        with bounded(self._engine) as connection:
            connection.execute(
                delete(WANTED).where(WANTED.c.region == region, WANTED.c.until == until)
            )

    def overdue(self, operator_id: str, until: int, waited: int, bound: int, now: int) -> None:
        """Raise the alert that a region has not agreed on the period that ends at ``until``,
        ``waited`` seconds ago where ``bound`` are allowed."""
        hour = until // _HOUR_SECONDS
        with bounded(self._engine) as connection:
            raise_alert(
                connection,
                operator_id,
                AlertKind.ALERT_KIND_CLEARING_OVERDUE,
                hour=hour,
                purpose=0,
                started_at=hour * _HOUR_SECONDS,
                counted=waited,
                threshold=bound,
                now=now,
            )
