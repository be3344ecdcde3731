"""``creditgate audit``: decisions, and traces of records, operators and requests, proved."""

from pathlib import Path
from typing import Annotated, Final

import typer

from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.cli import calls, terms
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import PROFILE, AsJson, From, Profile, Until
from gateway.cli.output import show
from gateway.cli.pages import PageSize, PageToken, resource, tell_more
from gateway.cli.trace_sheets import (
    Held,
    Pinned,
    decision_log,
    decisions_sheet,
    proved,
    steps_sheet,
)

app = typer.Typer(
    help="Every decision, and traces through all logs, for administrators.", no_args_is_help=True
)
_REASON: Final = "REFUSAL_REASON_"
_Request = pb.TraceRecordRequest | pb.TraceOperatorRequest | pb.TraceRequestRequest
_Answer = pb.TraceRecordResponse | pb.TraceOperatorResponse | pb.TraceRequestResponse


@app.command("decisions", cls=ReportedCommand)
def decisions(
    operator_id: Annotated[str, typer.Option("--operator", help="Only this operator's.")] = "",
    client_id: Annotated[str, typer.Option("--client", help="Only this client's.")] = "",
    reason: Annotated[
        str,
        typer.Option(
            "--refused-for", metavar="REASON", help="Only refusals, of this reason; or `any`."
        ),
    ] = "",
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    key: Pinned = "",
    held: Held = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List decisions of the gateway, oldest first, a page at a time."""
    refused = pb.DecisionOutcome.DECISION_OUTCOME_REFUSED
    request = pb.ListDecisionsRequest(
        operator_id=operator_id,
        client_id=client_id,
        outcome=refused if reason else pb.DecisionOutcome.DECISION_OUTCOME_UNSPECIFIED,
        reason=_reason(reason),
        period=terms.interval(from_, until),
        page_size=page_size,
        page_token=page_token,
    )
    log = decision_log(key, held)
    if log is not None:
        request.known_tree_size = log.known_tree_size
    answer = calls.ask(profile, request, pb.ListDecisionsResponse)
    sheets = [] if log is None else [proved(log, answer)]
    show(answer, decisions_sheet(answer.decisions), *sheets, as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


@app.command("record", cls=ReportedCommand)
def record(
    name: Annotated[str, typer.Argument(metavar="RECORD", help="Id of the record.")],
    region: Annotated[
        str,
        typer.Option(
            "--region",
            metavar="ENTITY",
            help="Region that disclosed it (https://...), where that is another one.",
        ),
    ] = "",
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    key: Pinned = "",
    held: Held = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell a record's disclosure, everyone who received it, their removals and findings."""
    request = pb.TraceRecordRequest(
        home_region=region,
        record=resource("records", name),
        period=terms.interval(from_, until),
        page_size=page_size,
        page_token=page_token,
    )
    _trace(profile, request, pb.TraceRecordResponse, key, held, as_json=as_json)


@app.command("operator", cls=ReportedCommand)
def operator(
    operator_id: Annotated[str, typer.Argument(metavar="OPERATOR", help="Its id.")],
    from_: From = None,
    until: Until = None,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    key: Pinned = "",
    held: Held = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell every change of an operator's authority, and all it did."""
    request = pb.TraceOperatorRequest(
        operator_id=operator_id,
        period=terms.interval(from_, until),
        page_size=page_size,
        page_token=page_token,
    )
    _trace(profile, request, pb.TraceOperatorResponse, key, held, as_json=as_json)


@app.command("request", cls=ReportedCommand)
def request_(
    decision: Annotated[
        str, typer.Option("--decision", help="Decision it led to, as receipt or refusal tells.")
    ] = "",
    client_id: Annotated[str, typer.Option("--client", help="Or who made it,")] = "",
    request_id: Annotated[str, typer.Option("--request-id", help="and its idempotency key.")] = "",
    page_size: PageSize = 100,
    page_token: PageToken = "",
    key: Pinned = "",
    held: Held = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell the decisions that one request led to, and what was served by them."""
    if bool(decision) == bool(client_id and request_id):
        raise CommandFailed("Name --decision, or --client and --request-id.")
    request = pb.TraceRequestRequest(page_size=page_size, page_token=page_token)
    if decision:
        request.decision = resource("decisions", decision)
    else:
        request.client_request.client_id = client_id
        request.client_request.request_id = request_id
    _trace(profile, request, pb.TraceRequestResponse, key, held, as_json=as_json)


def _trace(
    profile: Path,
    request: _Request,
    kind: type[_Answer],
    key: str,
    held: Path | None,
    *,
    as_json: bool,
) -> None:
    log = decision_log(key, held)
    if log is not None:
        request.known_tree_size = log.known_tree_size
    answer = calls.ask(profile, request, kind)
    sheets = [] if log is None else [proved(log, answer)]
    show(answer, steps_sheet(answer.steps), *sheets, as_json=as_json)
    tell_more(answer.next_page_token, as_json=as_json)


def _reason(name: str) -> RefusalReason.ValueType:
    if name in {"", "any"}:
        return RefusalReason.REFUSAL_REASON_UNSPECIFIED
    try:
        return RefusalReason.Value(_REASON + name.upper().replace("-", "_"))
    except ValueError:
        raise CommandFailed(f"There is no reason for refusals {name}.") from None
