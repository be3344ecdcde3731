"""Alerts (异常使用): what is unusual in operators' use, and who has looked into it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

from creditgate.v1 import alert_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.console.visit import Visit
from gateway.pages.terms import PURPOSES
from gateway.pages.words import Words, said

_KINDS: Final[Mapping[int, Words]] = {
    AlertKind.ALERT_KIND_SWEEP: ("批量遍历主体", "Sweep over subjects"),
    AlertKind.ALERT_KIND_PURPOSE_DRIFT: ("用途漂移", "Drift of purpose"),
    AlertKind.ALERT_KIND_OUT_OF_HOURS: ("非工作时间批量查询", "Bulk out of hours"),
    AlertKind.ALERT_KIND_GROWTH: ("用量突增", "Sudden growth"),
}
_COUNTED: Final[Mapping[bool, Words]] = {
    True: ("约 {counted} 个不同主体，达到 {threshold} 即提示", "about {counted} different subjects; told from {threshold} on"),
    False: ("{counted} 条记录，达到 {threshold} 即提示", "{counted} records; told from {threshold} on"),
}  # fmt: skip


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
    kind = said(visit.language, _KINDS[alert.kind])
    if alert.purpose:
        kind += visit.say("：", ": ") + said(
            visit.language, PURPOSES[Purpose.Name(alert.purpose).removeprefix("PURPOSE_")]
        )
    words = said(visit.language, _COUNTED[alert.kind == AlertKind.ALERT_KIND_SWEEP])
    return Told(
        alert,
        kind,
        words.format(counted=f"{alert.counted:,}", threshold=f"{alert.threshold:,}"),
    )
