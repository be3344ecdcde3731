"""``creditgate report``: special credit reports issued, looked up, verified offline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import report_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.cli import calls, terms
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import (
    PROFILE,
    AsJson,
    Freshness,
    From,
    Profile,
    PurposeAsked,
    Until,
    Why,
)
from gateway.cli.output import (
    Sheet,
    console,
    print_json,
    several,
    show,
    show_sheet,
    utc,
    utc_seconds,
    yuan,
)
from gateway.cli.outputs import output_file
from gateway.cli.proving import Successions, on_its_word
from gateway.cli.proving import read_keys as pinned_keys
from gateway.clock import SystemClock
from sdk.request_ids import new_request_id

if TYPE_CHECKING:
    from creditgate.credit_report import CreditReportStatus
    from sdk.reports import VerifiedReport

app = typer.Typer(
    help="Special credit reports (专项信用报告): issue, look up, verify.", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(metavar="reports/ID", help="Name of the report.")]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        dir_okay=False,
        callback=output_file,
        help="Write the signed report (JWS) to this file.",
    ),
]
_Pdf = Annotated[
    Path | None,
    typer.Option(
        "--pdf",
        dir_okay=False,
        callback=output_file,
        help="Write the report for people (PDF) to this file.",
    ),
]
_STATE = "CREDIT_REPORT_STATE_"


@app.command("issue", cls=ReportedCommand)
def issue(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Credit code (USCC).")],
    items: Annotated[
        list[str],
        typer.Option("--item", metavar="CODE", help="What it is about; repeat for more."),
    ],
    purpose: PurposeAsked,
    consent: Annotated[
        str, typer.Option("--consent", metavar="consents/ID", help="The consent relied on.")
    ] = "",
    recipient: Annotated[
        str, typer.Option("--recipient", help="Whom it is for, as printed on it.")
    ] = "",
    start: From = None,
    end: Until = None,
    request_id: Annotated[
        str | None,
        typer.Option("--request-id", help="Idempotency key; the same again charges nothing more."),
    ] = None,
    output: _Output = None,
    pdf: _Pdf = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Have a report issued, as an operator's client."""
    request = pb.IssueCreditReportRequest(
        subject=subject,
        items=items,
        purpose=purpose,
        request_id=request_id or new_request_id(),
        consent=consent,
        recipient=recipient,
    )
    if start is not None or end is not None:
        request.period.CopyFrom(_period(start, end))
    answer = calls.ask(profile, request, pb.IssueCreditReportResponse)
    _save(answer.report, output, pdf)
    charged = Sheet(
        "Charged",
        ("entries", "fee"),
        [[str(answer.charged_entries), yuan(answer.charged_micro_yuan)]],
    )
    show(answer, _sheet(answer.report), charged, as_json=as_json)


@app.command("get", cls=ReportedCommand)
def get(name: _Name, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Tell how a report stands that was issued to you; keep the document you were given."""
    request = pb.GetCreditReportRequest(name=name)
    answer = calls.ask(profile, request, pb.GetCreditReportResponse)
    show(answer, _sheet(answer.report), as_json=as_json)


@app.command("status", cls=ReportedCommand)
def status(
    name: _Name,
    check_code: Annotated[str, typer.Argument(metavar="CODE", help="Code printed on the report.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            dir_okay=False,
            callback=output_file,
            help="Write the signed status to this file.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell whether a report still holds."""
    request = pb.GetCreditReportStatusRequest(name=name, check_code=check_code)
    answer = calls.ask(profile, request, pb.GetCreditReportStatusResponse)
    if output is not None:
        output.write_text(answer.statement + "\n", encoding="ascii")
    since = utc(answer.since_time) if answer.HasField("since_time") else ""
    row = [_state(answer.state), since, utc(answer.check_time)]
    show(answer, Sheet("Status", ("state", "since", "looked up"), [row]), as_json=as_json)


@app.command("revoke", cls=ReportedCommand)
def revoke(name: _Name, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Take a report back: your own, or any as an administrator."""
    request = pb.RevokeCreditReportRequest(name=name, reason=reason)
    answer = calls.ask(profile, request, pb.RevokeCreditReportResponse)
    show(answer, _sheet(answer.report), as_json=as_json)


@app.command("verify", cls=ReportedCommand)
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The report (JWS).")
    ],
    key: Annotated[
        str,
        typer.Option("--key", metavar="VKEY", help="Key of the disclosure log, as you pinned it."),
    ],
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            exists=True,
            dir_okay=False,
            help="The gateway's keys, kept (a JWK Set); without it they are fetched.",
        ),
    ] = None,
    statement: Annotated[
        Path | None,
        typer.Option(
            "--status", exists=True, dir_okay=False, help="A signed status, to verify too."
        ),
    ] = None,
    freshness: Freshness = None,
    issuer: Annotated[
        str,
        typer.Option(
            "--issuer",
            help="Who must have signed it.",
            show_default="the profile's; with --keys, the gateway whose log the key is of",
        ),
    ] = "",
    at: Annotated[
        int | None,
        typer.Option(
            "--at", parser=terms.instant, metavar="TIME", help="Valid when; now if unset."
        ),
    ] = None,
    succession: Successions = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell whether a report is the gateway's, states all there is, and is valid, and of what
    that is the gateway's word. Offline, and without a profile, with --keys."""
    from sdk.documents import STATUS_SECONDS, document_keys, read_keys
    from sdk.reports import issuer_named, verified_report, verified_status

    log = pinned_keys(key, succession)
    document = _text(file)
    if keys is None:
        credentials = calls.read_profile(profile)
        known, signer = document_keys(credentials), issuer or credentials.issuer
    else:
        known = read_keys(keys.read_bytes())
        signer = issuer or issuer_named(document, log.chain[0])
    found = verified_report(document, known, signer, log)
    now = SystemClock().now() if at is None else at
    told = None
    if statement is not None:
        told = verified_status(
            _text(statement), document, known, signer, now, freshness or STATUS_SECONDS
        )
        if told.state != "CURRENT":
            raise CommandFailed(f"The report does not hold any more: {told.state.lower()}.")
    if not found.holds_at(now):
        raise CommandFailed(
            f"The report is the gateway's, but it was valid until {utc_seconds(found.report.exp)}."
        )
    if as_json:
        print_json(
            {
                "report": found.report.as_json(),
                "kid": found.signed.kid,
                "key_retired": found.signed.key_retired,
                "checkpoint_size": found.proved.head.checkpoint.size,
                "complete_on_the_gateways_word": list(found.complete_on_word),
                "status": None if told is None else told.as_json(),
            }
        )
    else:
        show_sheet(_verified(found, told), console())


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii", errors="replace").strip()


def _period(start: int | None, end: int | None) -> Interval:
    period = Interval()
    if start is not None:
        period.start_time.CopyFrom(Timestamp(seconds=start))
    if end is not None:
        period.end_time.CopyFrom(Timestamp(seconds=end))
    return period


def _save(report: pb.CreditReport, output: Path | None, pdf: Path | None) -> None:
    """Write a report to files. Raises CommandFailed where there is none to write."""
    if (output or pdf) and not report.document:
        raise CommandFailed(
            f"{report.name} does not hold any more ({_state(report.state)}): its document is not"
            " given out. Have a new one issued."
        )
    if output is not None:
        output.write_text(report.document + "\n", encoding="ascii")
    if pdf is not None:
        pdf.write_bytes(report.pdf)


def _sheet(report: pb.CreditReport) -> Sheet:
    return Sheet(
        "Report",
        ("name", "state", "issued", "valid until", "check code"),
        [
            [
                report.name,
                _state(report.state),
                utc(report.issue_time),
                utc(report.expire_time),
                report.check_code,
            ]
        ],
        blocks=True,
    )


def _verified(found: "VerifiedReport", told: "CreditReportStatus | None") -> Sheet:
    report, checkpoint = found.report, found.proved.head.checkpoint
    word = on_its_word([found.proved.subject])
    rows = (
        ("report", report.report),
        ("subject", report.subject),
        (
            "states",
            several(f"{each.item}: {each.records or 'nothing disclosed'}" for each in report.items),
        ),
        ("outside its period", str(report.outside_period or "")),
        ("withheld", str(report.withheld or "")),
        ("on the gateway's word", word or "nothing"),
        ("as disclosed at", utc_seconds(report.served_at)),
        ("valid until", utc_seconds(report.exp)),
        ("signed by", report.iss),
        ("key", found.signed.kid + (" (retired since)" if found.signed.key_retired else "")),
        ("log", f"{checkpoint.origin}, {checkpoint.size} entries"),
        ("status", "not looked at: give --status" if told is None else told.state.lower()),
        ("status as of", "" if told is None else utc_seconds(told.iat)),
        ("status page", report.status_url),
    )
    return Sheet(
        f"Report is the gateway's, and complete{', as to some on its word' if word else ''}",
        [name for name, _ in rows],
        [[cell for _, cell in rows]],
        blocks=True,
    )


def _state(state: pb.CreditReportState.ValueType) -> str:
    return pb.CreditReportState.Name(state).removeprefix(_STATE).lower()
