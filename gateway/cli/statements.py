"""``creditgate statements``: statements as documents, verified, traced down to the single use."""

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from creditgate.v1 import statement_document_pb2 as pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.cli import calls, terms
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile
from gateway.cli.output import Sheet, console, print_json, show, show_sheet, utc, utc_seconds, yuan
from gateway.cli.outputs import output_file
from gateway.cli.pages import PageSize, PageToken, tell_more
from gateway.cli.proving import Successions, read_keys

if TYPE_CHECKING:
    from gateway.cli.calls import Gateway

app = typer.Typer(
    help="Statements as signed JSON, CSV, Parquet and PDF; verified; traced to single uses.",
    no_args_is_help=True,
)

_FORMS: Final = {
    "json": pb.StatementForm.STATEMENT_FORM_SIGNED_JSON,
    "csv": pb.StatementForm.STATEMENT_FORM_CSV,
    "parquet": pb.StatementForm.STATEMENT_FORM_PARQUET,
    "pdf": pb.StatementForm.STATEMENT_FORM_PDF,
}
_MOST_SHOWN: Final = 50


def _form(name: str) -> pb.StatementForm.ValueType:
    if name not in _FORMS:
        raise typer.BadParameter("use " + ", ".join(_FORMS))
    return _FORMS[name]


_Month = Annotated[str, typer.Argument(metavar="MONTH", help="Calendar month (UTC): 2026-04.")]
_Operator = Annotated[
    str,
    typer.Option("--operator", help="Whose; an operator's client sees its own without it."),
]
_Source = Annotated[str, typer.Option("--source", help="Only of this source department.")]
_Region = Annotated[str, typer.Option("--region", help="Only of this region.")]


@app.command("fetch", cls=ReportedCommand)
def fetch(
    month: _Month,
    form: Annotated[
        pb.StatementForm.ValueType,
        typer.Option(
            "--form", parser=_form, metavar="FORM", help="json (signed), csv, parquet, pdf."
        ),
    ],
    last_month: Annotated[
        str, typer.Option("--last-month", metavar="MONTH", help="Up to this month, 12 at most.")
    ] = "",
    operator_id: Annotated[
        str,
        typer.Option("--operator", help="Whose; an administrator without it gets all operators'."),
    ] = "",
    source: _Source = "",
    region: _Region = "",
    language: Annotated[str, typer.Option("--language", help="Of a PDF: zh or en.")] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            dir_okay=False,
            callback=output_file,
            help="File to write; without it, the gateway's name for it.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Write statements to a file: the same bytes every time for closed months."""
    request = pb.GetStatementDocumentRequest(
        operator_id=operator_id,
        month=month,
        last_month=last_month,
        source=source,
        region=region,
        form=form,
        language=language,
    )
    first, content = calls.with_gateway(profile, lambda gateway: _fetched(gateway, request))
    digest = sha256(content).digest()
    if digest != first.sha256:
        raise CommandFailed("The document came incomplete; fetch it again.")
    file = output or _free(Path(Path(first.file_name).name), content)
    file.write_bytes(content)
    told = {
        "file": str(file),
        "media_type": first.media_type,
        "bytes": len(content),
        "sha256": digest.hex(),
    }
    if as_json:
        print_json(told)
    else:
        typer.echo(f"{file}: {len(content)} bytes, SHA-256 {digest.hex()}")


def _free(file: Path, content: bytes) -> Path:
    """Return the gateway's name for a document. Raises CommandFailed where another one, which the
    caller did not say to overwrite, has it: what was signed of an open month is evidence."""
    if file.exists() and file.read_bytes() != content:
        raise CommandFailed(f"{file} is here with other content: name a file by --output.")
    return file


@app.command("uses", cls=ReportedCommand)
def uses(
    month: _Month,
    item: Annotated[str, typer.Option("--item", metavar="CODE", help="Only of this item.")] = "",
    source: _Source = "",
    region: _Region = "",
    purpose: Annotated[
        Purpose.ValueType | None,
        typer.Option(
            "--purpose",
            parser=terms.purpose,
            autocompletion=terms.purposes,
            metavar="PURPOSE",
            help="Only for this purpose.",
        ),
    ] = None,
    component: Annotated[
        str,
        typer.Option(
            "--component", metavar="ID", help="Only what this component of a price plan charged."
        ),
    ] = "",
    since: Annotated[
        int | None,
        typer.Option("--from", parser=terms.instant, metavar="TIME", help="Only from then."),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option("--until", parser=terms.instant, metavar="TIME", help="Only before then."),
    ] = None,
    operator_id: _Operator = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List the single uses behind a statement or a line of it, with consent and record."""
    request = usage_pb.ListStatementUsesRequest(
        operator_id=operator_id,
        month=month,
        item=item,
        source=source,
        region=region,
        purpose=purpose or Purpose.PURPOSE_UNSPECIFIED,
        component_id=component,
        page_size=page_size,
        page_token=page_token,
    )
    if since is not None:
        request.period.start_time.seconds = since
    if until is not None:
        request.period.end_time.seconds = until
    answer = calls.ask(profile, request, usage_pb.ListStatementUsesResponse)
    rows = [
        (
            utc(use.entry.serve_time),
            use.entry.name,
            use.entry.item,
            use.entry.source,
            use.entry.consent,
            " ".join(
                filter(None, (f"{use.entry.record} ({use.entry.revision})", use.entry.home_region))
            ),
            use.entry.request_id,
            yuan(use.entry.fee_micro_yuan),
            _state(use),
        )
        for use in answer.uses
    ]
    columns = (
        "served",
        "use",
        "item",
        "source",
        "consent",
        "record",
        "request id",
        "list price",
        "state",
    )
    sheet = Sheet("Uses", columns, rows, frozenset({"list price"}))
    show(answer, sheet, as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("verify", cls=ReportedCommand)
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Signed statement.")
    ],
    key: Annotated[
        str,
        typer.Option("--key", metavar="VKEY", help="The pinned key of usage logs and receipts."),
    ],
    succession: Successions = None,
    as_json: AsJson = False,
) -> None:
    """Verify a signed statement offline and tell what it states."""
    from creditgate.statement_document import StatementInvalid
    from creditgate.transparency.statement_evidence import open_linked_statement

    keys = read_keys(key, succession)
    try:
        stated = open_linked_statement(file.read_text(encoding="utf-8"), keys)
    except (StatementInvalid, UnicodeDecodeError, OSError) as error:
        raise CommandFailed(f"{file}: {error}.") from None
    if as_json:
        print_json(stated)
        return
    received = [(name, yuan(int(amount))) for name, amount in stated["received_by"].items()]
    left = len(received) - _MOST_SHOWN
    if left > 0:
        received = [*received[:_MOST_SHOWN], (f"… and {left} more; --json shows all", "")]
    period = " to ".join(dict.fromkeys((stated["month"], stated["last_month"])))
    head = f"{stated.get('operator_id', 'all operators')}, {period}, {stated['state'].lower()}"
    terminal = console()
    terminal.print(f"Verified: {stated['iss']}, {utc_seconds(stated['iat'])}", soft_wrap=True)
    show_sheet(
        Sheet(
            f"Statement of {head}",
            ("beneficiary", "yuan"),
            [*received, ("owed", yuan(int(stated["owed_micro_yuan"])))],
            frozenset({"yuan"}),
        ),
        terminal,
    )


def _state(use: usage_pb.StatementUse) -> str:
    """Return in words what became of a use."""
    told: list[str] = []
    if use.reversed:
        told.append(
            f"reversed, adjusted in {use.reversal_month}" if use.reversal_month else "reversed"
        )
    if use.late:
        told.append(f"late, adjusted in {use.adjustment_month or 'a month to be closed'}")
    return "; ".join(told)


async def _fetched(
    gateway: "Gateway", request: pb.GetStatementDocumentRequest
) -> tuple[pb.GetStatementDocumentResponse, bytes]:
    first: pb.GetStatementDocumentResponse | None = None
    content: list[bytes] = []
    async for part in gateway.stream(request, pb.GetStatementDocumentResponse):
        first = first or part
        content.append(part.content)
    if first is None:
        raise CommandFailed("The gateway sent nothing; fetch it again.")
    return first, b"".join(content)
