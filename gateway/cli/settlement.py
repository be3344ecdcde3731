"""``creditgate settlement``: months closed, booked, credited, and worked out again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

import typer

from creditgate.v1 import settlement_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.installed import installed
from gateway.cli.options import PROFILE, AsJson, Config, Profile, Why
from gateway.cli.output import Sheet, console, print_json, show, utc, yuan
from gateway.cli.pages import PageSize, PageToken, tell_more

app = typer.Typer(help="Closed months and what was booked of them.", no_args_is_help=True)

_KIND: Final = "JOURNAL_ENTRY_KIND_"
_CLOSING_SECONDS: Final = 600
_Month = Annotated[str, typer.Argument(metavar="MONTH", help="Calendar month (UTC): 2026-04.")]
_OnlyMonth = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Only this month.")]
_OnlyOperator = Annotated[
    str, typer.Option("--operator", metavar="OPERATOR", help="Only this operator.")
]
_RequestId = Annotated[
    str, typer.Option("--request-id", help="Idempotency key; a fresh one, if left out.")
]


@app.command("close", cls=ReportedCommand)
def close(
    month: _Month,
    request_id: _RequestId = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Close a month for all operators (结算); closing again shows the same."""
    request = pb.ClosePeriodRequest(month=month, request_id=request_id or uuid4().hex)
    answer = calls.ask(profile, request, pb.ClosePeriodResponse, seconds=_CLOSING_SECONDS)
    show(answer, *_settlement_sheets(answer.settlement), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_settlement(month: _Month, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show the settlement of a closed month."""
    request = pb.GetSettlementRequest(month=month)
    answer = calls.ask(profile, request, pb.GetSettlementResponse)
    show(answer, *_settlement_sheets(answer.settlement), as_json=as_json)


@app.command("closings", cls=ReportedCommand)
def closings(
    month: _OnlyMonth = "",
    operator_id: _OnlyOperator = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List operators' closed months, a page at a time."""
    request = pb.ListClosingsRequest(
        operator_id=operator_id, month=month, page_size=page_size, page_token=page_token
    )
    answer = calls.ask(profile, request, pb.ListClosingsResponse)
    show(answer, _closings_sheet("Closings", answer.closings), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("journal", cls=ReportedCommand)
def journal(
    month: _OnlyMonth = "",
    operator_id: _OnlyOperator = "",
    account: Annotated[
        str, typer.Option("--account", metavar="ACCOUNT", help="Only entries on this account.")
    ] = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List what was booked, by double entry, a page at a time."""
    request = pb.ListJournalRequest(
        month=month,
        operator_id=operator_id,
        account=account,
        page_size=page_size,
        page_token=page_token,
    )
    answer = calls.ask(profile, request, pb.ListJournalResponse)
    numbers = ("debit yuan", "credit yuan")
    rows = [
        (
            str(entry.entry),
            entry.month,
            terms.shown(pb.JournalEntryKind.Name(entry.kind), _KIND),
            entry.about or entry.operator_id,
            posting.account,
            yuan(posting.debit_micro_yuan) if posting.debit_micro_yuan else "",
            yuan(posting.credit_micro_yuan) if posting.credit_micro_yuan else "",
        )
        for entry in answer.entries
        for posting in entry.postings
    ]
    columns = ("entry", "month", "books", "about", "account", *numbers)
    show(answer, Sheet("Journal", columns, rows, frozenset(numbers)), as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("credit", cls=ReportedCommand)
def credit(
    operator_id: Annotated[str, typer.Argument(metavar="OPERATOR", help="Who was overcharged.")],
    evidence: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", dir_okay=False, exists=True, help="Evidence of a usage dispute."
        ),
    ],
    reason: Why,
    request_id: _RequestId = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Give back what evidence proves to be overcharged (贷记)."""
    from creditgate.transparency.statement_evidence import shortened

    # The gateway has the log itself: its head tells which.
    shown = shortened(evidence.read_bytes())
    request = pb.CreateCreditNoteRequest(
        operator_id=operator_id,
        evidence=shown,
        reason=reason,
        request_id=request_id or uuid4().hex,
    )
    answer = calls.ask(profile, request, pb.CreateCreditNoteResponse)
    note = answer.credit_note
    rows = [
        (
            use.name,
            use.item,
            use.source,
            use.region,
            yuan(use.amount_micro_yuan),
            use.explanation_en,
        )
        for use in note.uses
    ]
    columns = ("use", "item", "source", "region", "yuan", "why")
    title = f"Credit note {note.credit_note_id}, {note.operator_id}, {note.month}"
    show(answer, Sheet(title, columns, rows, frozenset({"yuan"})), as_json=as_json)


@app.command("check", cls=ReportedCommand)
def check(month: _Month, config: Config = None, as_json: AsJson = False) -> None:
    """Work a closed month out again on the installation, with its settlement and what was
    booked of it: the same bytes, or it fails."""
    from gateway.settle.month import MONTH_MEND, month_named
    from gateway.settlement.checking import check_month

    if month_named(month) is None:
        raise typer.BadParameter(MONTH_MEND)
    with installed(config) as (_, _, engines):
        found = check_month(engines, month)
    if found.faults:
        raise CommandFailed(f"Of {month}, " + "; ".join(found.faults))
    if not found.operators:
        raise CommandFailed(
            f"No operator's {month} is closed; creditgate settlement close does it."
        )
    if found.differing:
        raise CommandFailed(
            f"Of {month}, ledger and authority give other statements than were closed for: "
            + ", ".join(found.differing)
        )
    if as_json:
        print_json({"month": month, "operators": found.operators})
    else:
        console().print(f"{month}: {found.operators} closed statements, the same bytes again.")


def _settlement_sheets(settlement: pb.Settlement) -> tuple[Sheet, ...]:
    shares = [(each.beneficiary, yuan(each.amount_micro_yuan)) for each in settlement.due_shares]
    shares.append(("due", yuan(settlement.due_micro_yuan)))
    closed = f"{settlement.month}, closed {utc(settlement.close_time)}"
    sheets = (
        _closings_sheet(f"Settlement of {closed}", settlement.closings),
        Sheet("To be paid out", ("beneficiary", "yuan"), shares, frozenset({"yuan"})),
    )
    return (*sheets, _cleared_sheet(settlement)) if settlement.clearings else sheets


def _cleared_sheet(settlement: pb.Settlement) -> Sheet:
    numbers = ("owed, yuan", "set aside, yuan")
    return Sheet(
        "Cleared with other regions since the settlement before",
        ("region", "through", *numbers),
        [
            (
                each.region,
                utc(each.through_time) if each.HasField("through_time") else "nothing yet",
                yuan(each.owed_micro_yuan),
                yuan(each.set_aside_micro_yuan),
            )
            for each in settlement.clearings
        ],
        frozenset(numbers),
    )


def _closings_sheet(title: str, found: Iterable[pb.Closing]) -> Sheet:
    numbers = ("fees, yuan", "due, yuan", "uses")
    rows = [
        (
            closing.month,
            closing.operator_id,
            yuan(closing.total_micro_yuan),
            yuan(closing.due_micro_yuan),
            str(closing.usage_size),
            utc(closing.close_time),
        )
        for closing in found
    ]
    columns = ("month", "operator", *numbers, "closed")
    return Sheet(title, columns, rows, frozenset(numbers))
