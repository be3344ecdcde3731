"""Alerts (异常使用): what is unusual in operators' use, and who has looked into it."""

from typing import NamedTuple

from starlette.responses import Response

from creditgate.v1 import alert_service_pb2 as pb
from gateway.console.visit import Visit
from gateway.pages.alert_words import kind_said, numbers_said


class Told(NamedTuple):
    """An alert, what is unusual, and its numbers in words."""

    alert: pb.Alert
    kind: str
    numbers: str


async def show(visit: Visit) -> Response:
    """Show a page of alerts, those that nobody has looked into or all."""
    everything = visit.request.query_params.get("all") == "1"
    listed = await visit.ask(
        pb.ListAlertsRequest(
            show_acknowledged=everything,
            page_size=20,
            page_token=visit.request.query_params.get("page", ""),
        ),
        pb.ListAlertsResponse,
    )
    return visit.page(
        "alerts.html",
        tab="/alerts",
        alerts=[_told(visit, alert) for alert in listed.alerts],
        everything=everything,
        more=listed.next_page_token,
        may_acknowledge=visit.deed(pb.AcknowledgeAlertRequest),
    )


async def acknowledge(visit: Visit) -> Response:
    """Say that an alert was looked into."""
    alert_id = visit.named("alert_id")
    form = await visit.form("acknowledge", alert_id)
    await visit.ask(
        pb.AcknowledgeAlertRequest(alert_id=alert_id, note=form.get("reason", "")),
        pb.AcknowledgeAlertResponse,
    )
    return visit.sent_on("/alerts", done="acknowledged")


def _told(visit: Visit, alert: pb.Alert) -> Told:
    return Told(alert, kind_said(alert, visit.language), numbers_said(alert, visit.language))
