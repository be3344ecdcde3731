"""Alerts (异常提示): what is unusual in the operator's own use, and whether it was looked into."""

from typing import Final, NamedTuple

from starlette.responses import Response

from creditgate.v1 import alert_service_pb2 as pb
from gateway.pages.alert_words import kind_said, numbers_said
from gateway.portal.visit import Visit

_ALERTS: Final = 20


class Told(NamedTuple):
    """An alert in words; ``looked_into`` is "" until somebody has."""

    alert_id: str
    kind: str
    numbers: str
    since: str
    raised: str
    looked_into: str


async def show(visit: Visit) -> Response:
    """Show a page of the alerts on the operator, newest first."""
    listed = await visit.ask(
        pb.ListAlertsRequest(
            show_acknowledged=True,
            page_size=_ALERTS,
            page_token=visit.request.query_params.get("page", ""),
        ),
        pb.ListAlertsResponse,
    )
    return visit.page(
        "alerts.html",
        tab="/alerts",
        alerts=[_told(visit, alert) for alert in listed.alerts],
        more=listed.next_page_token,
    )


def _told(visit: Visit, alert: pb.Alert) -> Told:
    looked_into = alert.HasField("acknowledge_time")
    return Told(
        alert.alert_id,
        kind_said(alert, visit.language),
        numbers_said(alert, visit.language),
        visit.when(alert.period_start.seconds),
        visit.when(alert.raise_time.seconds),
        visit.when(alert.acknowledge_time.seconds) if looked_into else "",
    )
