"""``creditgate licence``: what firms are licensed for."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import licence_credential_service_pb2 as credential_pb
from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1 import registration_service_pb2 as registration_pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import (
    INT32,
    INT64,
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
        int,
        typer.Option("--daily-quota", min=1, max=INT64, help="Most records served in one UTC day."),
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


@app.command("statement", cls=ReportedCommand)
def statement(
    operator_id: Annotated[str, typer.Argument(metavar="OPERATOR", help="Holder.")],
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Number of the licence.")],
    software_id: Annotated[
        str, typer.Option("--software-id", help="What software the client runs.")
    ],
    reason: Why,
    life_seconds: Annotated[
        int,
        typer.Option(
            "--life", min=0, max=INT32, metavar="SECONDS", help="How long it can be used."
        ),
    ] = 86_400,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Issue a software statement, with which the firm registers one client of its own."""
    answer = calls.ask(
        profile,
        registration_pb.IssueSoftwareStatementRequest(
            operator_id=operator_id,
            licence_number=number,
            software_id=software_id,
            life_seconds=life_seconds,
            reason=reason,
        ),
        registration_pb.IssueSoftwareStatementResponse,
    )
    _show_statement(answer, as_json=as_json)


@app.command("show-statement", cls=ReportedCommand)
def show_statement(
    statement_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the statement.")],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show a software statement: signed while it can be used, and the client it registered."""
    answer = calls.ask(
        profile,
        registration_pb.GetSoftwareStatementRequest(statement_id=statement_id),
        registration_pb.GetSoftwareStatementResponse,
    )
    _show_statement(answer, as_json=as_json)


def _show_statement(
    answer: (
        registration_pb.IssueSoftwareStatementResponse
        | registration_pb.GetSoftwareStatementResponse
    ),
    *,
    as_json: bool,
) -> None:
    one = answer.statement
    sheet = Sheet(
        "Software statements",
        ("id", "operator", "licence", "software", "expires", "client"),
        [
            (
                one.statement_id,
                one.operator_id,
                one.licence_number,
                one.software_id,
                utc(one.expire_time),
                one.used_by,
            )
        ],
    )
    show(answer, sheet, as_json=as_json)
    if answer.software_statement and not as_json:
        typer.echo(answer.software_statement)


@app.command("credential", cls=ReportedCommand)
def credential(
    number: Annotated[
        str,
        typer.Option(
            "--number", metavar="NUMBER", help="Licence; empty where one alone is in force."
        ),
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Fetch the signed credential of your licence, to show elsewhere; as a firm's client."""
    answer = calls.ask(
        profile,
        credential_pb.GetLicenceCredentialRequest(licence=number),
        credential_pb.GetLicenceCredentialResponse,
    )
    sheet = Sheet("Credential", ("expires",), [(utc(answer.expire_time),)])
    show(answer, sheet, as_json=as_json)
    if not as_json:
        typer.echo(answer.credential)


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
