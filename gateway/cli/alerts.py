"""``creditgate alerts``: unusual use (异常使用), and who has looked into it."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from creditgate.v1 import alert_service_pb2 as pb
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, show, utc

_KIND: Final = "ALERT_KIND_"

app = typer.Typer(help="Alerts of unusual use (异常使用).", no_args_is_help=True)


@app.command("list", cls=ReportedCommand)
def list_(
    operator: Annotated[
        str, typer.Option("--operator", metavar="OPERATOR", help="Only of one firm.")
    ] = "",
    acknowledged: Annotated[
        bool, typer.Option("--acknowledged", help="Acknowledged ones as well.")
    ] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List alerts, newest first."""
    answer = calls.every_page(
        profile,
        pb.ListAlertsRequest(operator_id=operator, show_acknowledged=acknowledged, page_size=200),
        pb.ListAlertsResponse,
    )
    show(answer, _sheet(answer.alerts), as_json=as_json)


@app.command("acknowledge", cls=ReportedCommand)
def acknowledge(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT", help="Id of the alert.")],
    note: Annotated[str, typer.Option("--note", help="What came of looking into it.")],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Say that an alert was looked into."""
    answer = calls.ask(
        profile,
        pb.AcknowledgeAlertRequest(alert_id=alert_id, note=note),
        pb.AcknowledgeAlertResponse,
    )
    show(answer, _sheet([answer.alert]), as_json=as_json)


def _sheet(alerts: Iterable[pb.Alert]) -> Sheet:
    return Sheet(
        "Alerts",
        ("alert", "operator", "unusual", "since", "counted", "from", "purpose", "acknowledged"),
        [
            (
                alert.alert_id,
                alert.operator_id,
                terms.shown(AlertKind.Name(alert.kind), _KIND),
                utc(alert.period_start),
                str(alert.counted),
                str(alert.threshold),
                terms.show_purpose(alert.purpose) if alert.purpose else "",
                f"{alert.acknowledged_by}: {alert.note}" if alert.acknowledged_by else "",
            )
            for alert in alerts
        ],
    )
