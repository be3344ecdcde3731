"""Alerts (异常使用): what is unusual in operators' use, and who has looked into it."""

from typing import NamedTuple

from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1 import alert_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.console.visit import Refusal, Visit
from gateway.pages.alert_words import kind_said, numbers_said


class Told(NamedTuple):
    """An alert, what is unusual, and its numbers in words."""

    alert: pb.Alert
    kind: str
    numbers: str


async def show(visit: Visit) -> Response:
    """Show a page of alerts, those that nobody has looked into or all."""
    where = _where(visit)
    everything, token = where["all"] == "1", where["page"]
    listed = await visit.ask(
        pb.ListAlertsRequest(
            show_acknowledged=everything,
            page_size=20,
            page_token=token,
        ),
        pb.ListAlertsResponse,
    )
    return visit.page(
        "alerts.html",
        tab="/alerts",
        alerts=[_told(visit, alert) for alert in listed.alerts],
        everything=everything,
        where=where,
        more=listed.next_page_token,
        may_acknowledge=visit.deed(pb.AcknowledgeAlertRequest),
    )


async def acknowledge(visit: Visit) -> Response:
    """Say that an alert was looked into; who comes second is told what stands noted."""
    alert_id = visit.named("alert_id")
    form = await visit.form("acknowledge", alert_id)
    note = form.get("reason", "")
    try:
        await visit.ask(
            pb.AcknowledgeAlertRequest(alert_id=alert_id, note=note), pb.AcknowledgeAlertResponse
        )
    except Refused as refused:
        if refused.reason != RefusalReason.REFUSAL_REASON_STATE_CONFLICT:
            raise
        stands = await _noted(visit, alert_id)
        if stands is None:
            raise
        return await show(visit.refused(Refusal(409, stands + _not_kept(visit, note))))
    return visit.sent_on("/alerts", done="acknowledged", **_where(visit))


def _where(visit: Visit) -> dict[str, str]:
    """Return the query of the page that is shown, or whose form was sent: forms carry it in their
    address, so that one goes on where one was."""
    query = visit.request.query_params
    return {"all": "1" if query.get("all") == "1" else "", "page": query.get("page", "")}


async def _noted(visit: Visit, alert_id: str) -> str | None:
    """Return what stands noted on an alert; None of one too old to be found in the listing."""
    listed = await visit.every_page(
        pb.ListAlertsRequest(show_acknowledged=True, page_size=200), pb.ListAlertsResponse
    )
    for alert in listed.alerts:
        if alert.alert_id == alert_id:
            by, at = alert.acknowledged_by, visit.when(alert.acknowledge_time.seconds)
            return visit.say(
                f"没有办理：{by} 已于 {at} 核实这条提示，备注是“{alert.note}”。",
                f"Not done: {by} acknowledged this alert on {at} with the note “{alert.note}”.",
            )
    return None


def _not_kept(visit: Visit, note: str) -> str:
    return visit.say(f"您填写的“{note}”没有保存。", f" Yours was not kept: “{note}”.")


def _told(visit: Visit, alert: pb.Alert) -> Told:
    return Told(alert, kind_said(alert, visit.language), numbers_said(alert, visit.language))
