"""Alerts as they are looked at: listed, newest first, and acknowledged."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, select, update

from gateway.alerts.tables import ALERTS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.writes import wrote

Alert = Row[*tuple[Any, ...]]
"""A row of `gateway.alerts.tables.ALERTS`."""


class SqlAlerts:
    """Alerts on SQLite and PostgreSQL. Calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listed(
        self, operator_id: str, *, acknowledged: bool, before: int | None, limit: int
    ) -> Sequence[Alert]:
        """Return alerts with numbers below ``before``, newest first: of one operator, or of all
        for "", with those acknowledged or without."""
        query = select(ALERTS).order_by(ALERTS.c.number.desc()).limit(limit)
        if operator_id:
            query = query.where(ALERTS.c.operator_id == operator_id)
        if not acknowledged:
            query = query.where(ALERTS.c.acknowledged_at.is_(None))
        if before is not None:
            query = query.where(ALERTS.c.number < before)
        with reading(self._engine) as connection:
            return connection.execute(query).all()

    def acknowledge(self, number: int, by: str, note: str, now: int) -> Alert | None:
        """Return an alert as it is acknowledged now: by this call, or as it had been before; None
        where there is none."""
        own = ALERTS.c.number == number
        with bounded(self._engine) as connection:
            acknowledged = connection.execute(
                update(ALERTS)
                .where(own, ALERTS.c.acknowledged_at.is_(None))
                .values(acknowledged_at=now, acknowledged_by=by, note=note)
            )
            if acknowledged.rowcount:
                wrote(connection, ALERTS, [(number,)])
            return connection.execute(select(ALERTS).where(own)).first()
