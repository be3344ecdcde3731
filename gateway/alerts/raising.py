"""Raising alerts: each about a thing once, in the transaction of what finds it."""

from sqlalchemy import Connection, insert, select

from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.tables import ALERTS
from gateway.storage.writes import wrote


def raise_alert(
    connection: Connection,
    operator_id: str,
    kind: AlertKind.ValueType,
    *,
    hour: int,
    purpose: int,
    started_at: int,
    counted: int,
    threshold: int,
    now: int,
) -> None:
    """Raise an alert unless there is one of the same operator, kind, hour and purpose.

    ``hour`` numbers the hour it is about, ``started_at`` and ``now`` are seconds, UTC.
    """
    about = {"operator_id": operator_id, "kind": int(kind), "hour": hour, "purpose": purpose}
    if connection.execute(select(ALERTS.c.number).filter_by(**about)).first() is not None:
        return
    raised = connection.execute(
        insert(ALERTS).values(
            **about,
            started_at=started_at,
            counted=counted,
            threshold=threshold,
            raised_at=now,
            acknowledged_by="",
            note="",
        )
    )
    key = raised.inserted_primary_key
    assert key is not None, "one row was inserted"
    wrote(connection, ALERTS, [key])
