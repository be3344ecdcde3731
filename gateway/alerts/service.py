"""AlertService: what was raised, and who has looked into it."""

import asyncio
import re
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused
from creditgate.v1 import alert_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.administration.desk import actor
from gateway.administration.listing import page_ask, page_of
from gateway.administration.presence import missing
from gateway.administration.request import require
from gateway.alerts.store import Alert, SqlAlerts
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.note import note_faults
from gateway.settle.month import utc_text
from gateway.settle.paging import page_token

_MOST_NOTE: Final = 500
_ID: Final = re.compile(r"alert-([0-9]{1,18})", re.ASCII)


class AlertService:
    """Every method of creditgate.v1.AlertService.

    The methods take the request and the authenticated caller, whose scope was checked,
    and raise Refused.
    """

    def __init__(self, alerts: SqlAlerts, clock: Clock) -> None:
        self._alerts = alerts
        self._clock = clock

    async def list_alerts(
        self, request: pb.ListAlertsRequest, caller: Caller
    ) -> pb.ListAlertsResponse:
        """Answer ListAlerts; raises Refused INVALID_REQUEST, SCOPE_NOT_GRANTED where an operator
        asks for another's.

        Administrators see every alert; an operator its own, and not who looked into one and what
        they noted.
        """
        own = caller.operator_id
        if own and request.operator_id not in {"", own}:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "An operator sees only alerts on itself: leave operator_id empty.",
            )
        operator_id = own or request.operator_id
        filters = ("alerts", operator_id, str(request.show_acknowledged))
        before, most = page_ask(request.page_size, request.page_token, filters)
        found = await asyncio.to_thread(
            self._alerts.listed,
            # PostgreSQL's texts cannot hold a zero byte, and no operator's id does.
            operator_id.replace("\0", "?"),
            acknowledged=request.show_acknowledged,
            before=before or None,
            limit=most + 1,
        )
        message = own_alert_message if own else alert_message
        page = page_of(map(message, found), most)
        more = len(page) < len(found)
        return pb.ListAlertsResponse(
            alerts=page,
            next_page_token=page_token(found[len(page) - 1].number, filters) if more else "",
        )

    async def acknowledge_alert(
        self, request: pb.AcknowledgeAlertRequest, caller: Caller
    ) -> pb.AcknowledgeAlertResponse:
        """Answer AcknowledgeAlert; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, and
        STATE_CONFLICT for one that was acknowledged by another or with another note."""
        require(note_faults("note", request.note, _MOST_NOTE))
        named, by = _ID.fullmatch(request.alert_id), actor(caller)
        alert = named and await asyncio.to_thread(
            self._alerts.acknowledge,
            int(named[1]),
            by,
            request.note,
            self._clock.now(),
        )
        if not alert:
            raise missing("No alert has this alert_id; ListAlerts lists them.")
        if (alert.acknowledged_by, alert.note) != (by, request.note):
            raise _acknowledged(alert)
        return pb.AcknowledgeAlertResponse(alert=alert_message(alert))


def _acknowledged(alert: Alert) -> Refused:
    """Return the refusal of another note on an alert. What stands noted may name companies, and
    refusals name none."""
    by, at = alert.acknowledged_by, utc_text(alert.acknowledged_at)
    return Refused(
        RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
        f"{by} acknowledged this alert at {at}, and your note was not kept;"
        " ListAlerts with show_acknowledged tells what was noted.",
        metadata={"acknowledged_by": by, "acknowledge_time": at},
    )


def own_alert_message(alert: Alert) -> pb.Alert:
    """Return an alert as the operator that it is about sees it."""
    message = alert_message(alert)
    message.ClearField("acknowledged_by")
    message.ClearField("note")
    return message


def alert_message(alert: Alert) -> pb.Alert:
    """Return an alert as the contract has it."""
    message = pb.Alert(
        alert_id=f"alert-{alert.number}",
        operator_id=alert.operator_id,
        kind=AlertKind.ValueType(alert.kind),
        period_start=Timestamp(seconds=alert.started_at),
        purpose=Purpose.ValueType(alert.purpose),
        counted=alert.counted,
        threshold=alert.threshold,
        raise_time=Timestamp(seconds=alert.raised_at),
        acknowledged_by=alert.acknowledged_by,
        note=alert.note,
    )
    if alert.acknowledged_at is not None:
        message.acknowledge_time.seconds = alert.acknowledged_at
    return message
