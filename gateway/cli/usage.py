"""``creditgate usage`` and ``creditgate statement``: what was used and is owed."""

from typing import Annotated

import typer

from creditgate.v1 import usage_service_pb2 as pb
from gateway.cli import calls, terms, usage_book, usage_proofs, usage_statements
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import ANY_WORD, PROFILE, AsJson, From, Profile, Until
from gateway.cli.output import Sheet, show, utc, yuan
from gateway.cli.pages import PageSize, PageToken, tell_more

_DELIVERY_STATE = "DELIVERY_STATE_"

app = typer.Typer(
    help="Use metered: listed, proved, checked by receipts, disputed.", no_args_is_help=True
)

_Operator = Annotated[
    str, typer.Option("--operator", help="Whose; an operator's client sees its own without it.")
]


@app.command("list", cls=ReportedCommand)
def list_(
    operator_id: _Operator = "",
    from_: From = None,
    until: Until = None,
    request_id: Annotated[
        str,
        typer.Option("--request-id", help="Only entries of this request, also of other regions."),
    ] = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List usage entries, oldest first, a page at a time."""
    request = pb.ListUsageRequest(
        operator_id=operator_id,
        period=terms.interval(from_, until),
        request_id=request_id,
        page_size=page_size,
        page_token=page_token,
    )
    answer = calls.ask(profile, request, pb.ListUsageResponse)
    rows = [
        (
            utc(entry.serve_time),
            entry.client_id,
            " ".join(filter(None, (entry.record, entry.home_region))),
            str(entry.revision),
            entry.item,
            terms.show_purpose(entry.purpose),
            yuan(entry.fee_micro_yuan),
            entry.request_id,
        )
        for entry in answer.entries
    ]
    columns = ("served", "client", "record", "revision", "item", "purpose", "yuan", "request id")
    numbers = frozenset({"revision", "yuan"})
    show(answer, Sheet("Usage", columns, rows, numbers), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command(cls=ReportedCommand, context_settings=ANY_WORD)
def delivery(
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="What it was opened with.")
    ],
    operator_id: _Operator = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell what of a delivery (batch --acknowledged) was charged, acknowledged and credited."""
    request = pb.GetDeliveryRequest(operator_id=operator_id, request_id=request_id)
    told = calls.ask(profile, request, pb.GetDeliveryResponse)
    rows = [
        ("request id", told.request_id),
        ("state", terms.shown(pb.DeliveryState.Name(told.state), _DELIVERY_STATE)),
        ("opened", utc(told.open_time)),
        ("settled", utc(told.settle_time) if told.HasField("settle_time") else ""),
        ("records charged", str(told.charged_records)),
        ("acknowledged", str(told.acknowledged_records)),
        ("credited", str(told.credited_records)),
        ("charged all the same", str(told.standing_records)),
        ("yuan credited", yuan(told.credited_micro_yuan)),
    ]
    show(told, Sheet("Delivery", ("", ""), rows), as_json=as_json)


for command in (
    usage_book.begin,
    usage_book.pin,
    usage_book.receipts,
    usage_book.check,
    usage_book.cosign,
    usage_book.dispute,
    usage_statements.dispute_statement,
    usage_proofs.proof,
    usage_proofs.prove,
    usage_proofs.verify,
):
    app.command(cls=ReportedCommand)(command)


def statement(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="Calendar month (UTC): 2026-04.")],
    operator_id: _Operator = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Show what an operator owes for a month and how it is shared."""
    answer = calls.ask(
        profile,
        pb.GetStatementRequest(month=month, operator_id=operator_id),
        pb.GetStatementResponse,
    )
    show(answer, *statement_sheets(answer.statement), as_json=as_json)


def statement_sheets(bill: pb.Statement, most: int | None = None) -> tuple[Sheet, Sheet]:
    """Return a statement's lines and the shares of its total.

    ``most`` keeps only as many lines and shares, the highest; None keeps all.
    """
    head = f"{bill.operator_id}, {bill.month}"
    kept = bill.lines
    if most is not None and len(kept) > most:
        kept = sorted(kept, key=lambda line: -line.fee_micro_yuan)[:most]
    lines = [
        (
            line.item,
            line.source,
            line.region,
            str(line.entries),
            # Lines of several prices have none of their own.
            yuan(line.unit_price_micro_yuan) if line.unit_price_micro_yuan else "",
            yuan(line.fee_micro_yuan),
        )
        for line in kept
    ]
    if left := len(bill.lines) - len(kept):
        lines.append((f"… and {left} more; --json shows all", "", "", "", "", ""))
    totals = [("total", "", "", str(bill.total_entries), "", yuan(bill.total_micro_yuan))]
    totals += (
        (f"late in {each.month}", "", "", "", "", yuan(each.amount_micro_yuan))
        for each in bill.adjustments
    )
    totals += (
        (_credited(each), "", "", "", "", yuan(-each.amount_micro_yuan))
        for each in bill.credit_notes
    )
    if len(totals) > 1:
        totals.append(("due", "", "", "", "", yuan(bill.due_micro_yuan)))
    sharing = bill.shares
    if most is not None and len(sharing) > most:
        sharing = sorted(sharing, key=lambda share: -share.amount_micro_yuan)[:most]
    shares = [(share.beneficiary, yuan(share.amount_micro_yuan)) for share in sharing]
    if left := len(bill.shares) - len(sharing):
        shares.append((f"… and {left} more; --json shows all", ""))
    shares.append(("total", yuan(sum(share.amount_micro_yuan for share in bill.shares))))
    return (
        Sheet(
            f"Statement of {head}",
            ("item", "source", "region", "records", "yuan each", "yuan"),
            [*lines, *totals],
            frozenset({"records", "yuan each", "yuan"}),
        ),
        Sheet(f"Shares of {head}", ("beneficiary", "yuan"), shares, frozenset({"yuan"})),
    )


def _credited(note: pb.CreditNote) -> str:
    if note.trued_up_month:
        return f"credit of {note.trued_up_month} put right"
    return f"credit {note.credit_note_id[:8]}"
