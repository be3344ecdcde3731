"""``creditgate licence``: what firms are licensed for."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import operator_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import (
    PROFILE,
    AsJson,
    From,
    Items,
    Profile,
    Purposes,
    Regions,
    Why,
)
from gateway.cli.output import Sheet, period, several, show, utc
from gateway.clock import SystemClock

app = typer.Typer(help="Licences (授权运营许可).", no_args_is_help=True)


@app.command("issue", cls=ReportedCommand)
def issue(
    operator_id: Annotated[str, typer.Argument(metavar="OPERATOR", help="Holder.")],
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Number of the licence.")],
    until: Annotated[
        int,
        typer.Option(
            "--until", parser=terms.instant, metavar="TIME", help="First instant after it (UTC)."
        ),
    ],
    daily_quota: Annotated[
        int, typer.Option("--daily-quota", min=0, help="Most records served in one UTC day.")
    ],
    reason: Why,
    from_: From = None,
    items: Items = None,
    purposes: Purposes = None,
    regions: Regions = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Issue a licence; without --from it begins now."""
    begins = SystemClock().now() if from_ is None else from_
    licence = pb.Licence(
        number=number,
        operator_id=operator_id,
        validity=terms.interval(begins, until),
        items=items,
        purposes=purposes,
        regions=regions,
        daily_record_quota=daily_quota,
    )
    answer = calls.ask(
        profile,
        pb.IssueLicenceRequest(licence=licence, reason=reason),
        pb.IssueLicenceResponse,
    )
    show(answer, _sheet([answer.licence]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(
    operator_id: Annotated[str, typer.Argument(metavar="OPERATOR", help="Holder.")],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List a firm's licences, revoked ones included."""
    answer = calls.ask(
        profile, pb.ListLicencesRequest(operator_id=operator_id), pb.ListLicencesResponse
    )
    show(answer, _sheet(answer.licences), as_json=as_json)


@app.command("revoke", cls=ReportedCommand)
def revoke(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Number of the licence.")],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """End a licence at once."""
    answer = calls.ask(
        profile,
        pb.RevokeLicenceRequest(number=number, reason=reason),
        pb.RevokeLicenceResponse,
    )
    show(answer, _sheet([answer.licence]), as_json=as_json)


def _sheet(licences: Iterable[pb.Licence]) -> Sheet:
    return Sheet(
        "Licences",
        (
            "number",
            "operator",
            "validity",
            "items",
            "purposes",
            "regions",
            "records a day",
            "revoked",
        ),
        [
            (
                licence.number,
                licence.operator_id,
                period(licence.validity),
                several(licence.items),
                several(map(terms.show_purpose, licence.purposes)),
                several(licence.regions),
                str(licence.daily_record_quota),
                utc(licence.revoke_time),
            )
            for licence in licences
        ],
        frozenset({"records a day"}),
    )
