"""``creditgate recognition``: documents of other regions, accepted here (互认与跨境)."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import recognition_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import INT32, PROFILE, AsJson, Profile, PurposeAsked, Why
from gateway.cli.output import Sheet, console, print_json, show, show_sheet, utc
from gateway.cli.outputs import output_file
from gateway.cli.pages import resource
from gateway.cli.recognition_sheets import (
    countries_sheet,
    parts_sheet,
    rules_sheet,
    stated_parts_sheet,
    stated_sheet,
)
from sdk.request_ids import new_request_id

app = typer.Typer(
    help="Reports and grades of other regions, accepted here (互认).", no_args_is_help=True
)

_Region = Annotated[
    str, typer.Option("--region", metavar="REGION", help="Entity identifier of the region.")
]
_Transfer = Annotated[
    str,
    typer.Option("--transfer", metavar="TRANSFER", help="Approved transfer, for another country."),
]
_Consent = Annotated[
    str,
    typer.Option(
        "--consent",
        metavar="CONSENT",
        help="Consent of the subject, given here, for what is not public.",
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        dir_okay=False,
        callback=output_file,
        help="Write the signed statement to this file.",
    ),
]
_RequestId = Annotated[
    str | None, typer.Option("--request-id", help="Idempotency key; the same again is the same.")
]
_Document = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The document.")
]


@app.command("report", cls=ReportedCommand)
def report(
    file: _Document,
    region: _Region,
    purpose: PurposeAsked,
    transfer: _Transfer = "",
    consent: _Consent = "",
    request_id: _RequestId = None,
    output: _Output = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Have a report of another region verified and accepted."""
    answer = calls.ask(
        profile,
        pb.RecogniseReportRequest(
            region=region,
            document=_text(file),
            purpose=purpose,
            request_id=request_id or new_request_id(),
            transfer_id=transfer,
            consent=resource("consents", consent) if consent else "",
        ),
        pb.RecogniseReportResponse,
    )
    _keep(answer.recognition, output)
    show(answer, parts_sheet(answer.recognition), as_json=as_json)


@app.command("grades", cls=ReportedCommand)
def grades(
    file: _Document,
    region: _Region,
    purpose: PurposeAsked,
    transfer: _Transfer = "",
    consent: _Consent = "",
    request_id: _RequestId = None,
    output: _Output = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Have the grades in a saved answer of another region verified and accepted.

    FILE is what `creditgate query --proof complete --save` wrote there, its request beside it.
    """
    from sdk.answers import KeptAnswer

    kept = KeptAnswer.read(file)
    if kept.request is None:
        raise CommandFailed(f"{file}.request is missing: the request belongs to the answer.")
    answer = calls.ask(
        profile,
        pb.RecogniseGradesRequest(
            region=region,
            answer=kept.parts,
            request=kept.request,
            purpose=purpose,
            request_id=request_id or new_request_id(),
            transfer_id=transfer,
            consent=resource("consents", consent) if consent else "",
        ),
        pb.RecogniseGradesResponse,
    )
    _keep(answer.recognition, output)
    show(answer, parts_sheet(answer.recognition), as_json=as_json)


@app.command("verify", cls=ReportedCommand)
def verify(
    statement: Annotated[
        Path, typer.Argument(metavar="STATEMENT", exists=True, help="The signed statement.")
    ],
    document: _Document,
    keys: Annotated[Path, typer.Option("--keys", exists=True, help="The gateway's JWK Set, kept.")],
    issuer: Annotated[str, typer.Option("--issuer", help="The gateway that recognised.")],
    as_json: AsJson = False,
) -> None:
    """Verify a statement of recognition, and the report it is about, offline."""
    from gateway.clock import SystemClock
    from sdk.documents import DocumentRefused, KeysUnavailable, read_keys
    from sdk.recognition import verified_recognition

    try:
        found = verified_recognition(
            _text(statement),
            _text(document).encode(),
            read_keys(keys.read_bytes()),
            issuer,
            SystemClock().now(),
        )
    except (DocumentRefused, KeysUnavailable) as refused:
        raise CommandFailed(str(refused)) from None
    if as_json:
        print_json(found.as_json())
        return
    terminal = console()
    show_sheet(stated_sheet(found), terminal)
    show_sheet(stated_parts_sheet(found), terminal)


@app.command("set", cls=ReportedCommand)
def set_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, help="The mapping table (JSON).")
    ],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Put the next version of a region's mapping table into force, whole.

    FILE holds a RecognitionRule as JSON; its version is the one it replaces.
    """
    from google.protobuf.json_format import Parse, ParseError

    try:
        rule = Parse(file.read_text(encoding="utf-8"), pb.RecognitionRule())
    except (ParseError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{file} is no mapping table: {error}") from None
    answer = calls.ask(
        profile,
        pb.SetRecognitionRuleRequest(rule=rule, reason=reason),
        pb.SetRecognitionRuleResponse,
    )
    show(answer, rules_sheet([answer.rule] if answer.HasField("rule") else []), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List the mapping tables."""
    answer = calls.ask(profile, pb.ListRecognitionRulesRequest(), pb.ListRecognitionRulesResponse)
    show(answer, rules_sheet(answer.rules), as_json=as_json)


@app.command("country", cls=ReportedCommand)
def country(
    destination: Annotated[
        str, typer.Argument(metavar="COUNTRY", help="ISO 3166-1 code, for example HK.")
    ],
    reason: Why,
    items: Annotated[
        list[str], typer.Option("--item", metavar="CODE", help="An item that may go; repeatable.")
    ],
    purposes: Annotated[
        list[str], typer.Option("--purpose", metavar="PURPOSE", help="A purpose; repeatable.")
    ],
    version: Annotated[
        int, typer.Option("--version", min=0, max=INT32, help="Version of the list this replaces.")
    ] = 0,
    retire: Annotated[bool, typer.Option("--retire", help="Nothing goes there any more.")] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Set which items alone may be recognised for use in a country."""
    answer = calls.ask(
        profile,
        pb.SetCrossBorderProfileRequest(
            profile=pb.CrossBorderProfile(
                destination=destination,
                items=items,
                purposes=[terms.purpose(each) for each in purposes],
                version=version,
                retired=retire,
            ),
            reason=reason,
        ),
        pb.SetCrossBorderProfileResponse,
    )
    found = [answer.profile] if answer.HasField("profile") else []
    show(answer, countries_sheet(found), as_json=as_json)


@app.command("countries", cls=ReportedCommand)
def countries(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List which items may go to which country."""
    answer = calls.ask(
        profile, pb.ListCrossBorderProfilesRequest(), pb.ListCrossBorderProfilesResponse
    )
    show(answer, countries_sheet(answer.profiles), as_json=as_json)


@app.command("transfer", cls=ReportedCommand)
def transfer(
    file: _Document,
    operator: Annotated[str, typer.Option("--operator", metavar="OPERATOR", help="Whose it is.")],
    destination: Annotated[str, typer.Option("--to", metavar="COUNTRY", help="ISO 3166-1 code.")],
    purpose: PurposeAsked,
    recipient: Annotated[str, typer.Option("--recipient", help="Who will have it there.")],
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="How long it holds.")],
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Propose that a report be recognised for use in another country.

    A second person approves it: `creditgate scopes approve`.
    """
    from gateway.clock import SystemClock

    proposed = pb.CrossBorderTransfer(
        operator_id=operator,
        document_digest=sha256(_text(file).encode()).hexdigest(),
        destination=destination,
        purpose=purpose,
        recipient=recipient,
        expire_time=Timestamp(seconds=SystemClock().now() + days * 86_400 - 60),
    )
    answer = calls.ask(
        profile,
        pb.ApproveCrossBorderTransferRequest(transfer=proposed, reason=reason),
        pb.ApproveCrossBorderTransferResponse,
    )
    show(answer, Sheet("Proposed", ("proposal",), [(answer.proposal_id,)]), as_json=as_json)


@app.command("transfers", cls=ReportedCommand)
def transfers(
    operator: Annotated[
        str, typer.Option("--operator", metavar="OPERATOR", help="Only of one firm.")
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List the transfers that were approved."""
    answer = calls.every_page(
        profile,
        pb.ListCrossBorderTransfersRequest(operator_id=operator, page_size=200),
        pb.ListCrossBorderTransfersResponse,
    )
    rows = [
        (
            each.transfer_id,
            each.operator_id,
            each.destination,
            each.recipient,
            terms.show_purpose(each.purpose),
            utc(each.expire_time),
        )
        for each in answer.transfers
    ]
    columns = ("transfer", "operator", "country", "recipient", "purpose", "until")
    show(answer, Sheet("Transfers", columns, rows), as_json=as_json)


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii", errors="replace").strip()


def _keep(recognition: pb.Recognition, output: Path | None) -> None:
    if output is not None:
        output.write_text(recognition.statement, encoding="ascii")
