"""``creditgate operator``: licensed firms and whether they may work."""

import json
from collections.abc import Iterable
from typing import Annotated, Final

import typer

from creditgate.v1 import operator_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, show, utc

HISTORY_KINDS: Final = (
    "operator",
    "licence",
    "client",
    "scope_grant",
    "scope_definition",
    "proposal",
    "administration_policy",
    "administrator",
    "brake",
    "limit",
    "software_statement",
    "client_registration",
    "catalogue_item",
    "price_plan",
    "sharing_rule",
    "class_start",
    "signing_key",
    "region",
    "region_admission",
    "restoration",
)
"""Kinds of things the history knows."""

app = typer.Typer(help="Licensed firms (授权运营机构).", no_args_is_help=True)

_OperatorId = Annotated[str, typer.Argument(metavar="OPERATOR", help="Id of the operator.")]
_Name = Annotated[str, typer.Option("--name", help="The firm's name.")]
_Uscc = Annotated[str, typer.Option("--uscc", help="The firm's unified social credit code.")]
_CLASS_HELP: Final = "What price plans and rebates know the firm by; empty for no class."


@app.command("create", cls=ReportedCommand)
def create(
    operator_id: _OperatorId,
    name: _Name,
    uscc: _Uscc,
    reason: Why,
    operator_class: Annotated[str, typer.Option("--class", help=_CLASS_HELP)] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Register a firm."""
    firm = pb.Operator(
        operator_id=operator_id, display_name=name, uscc=uscc, operator_class=operator_class
    )
    answer = calls.ask(
        profile,
        pb.CreateOperatorRequest(operator=firm, reason=reason),
        pb.CreateOperatorResponse,
    )
    show(answer, _sheet([answer.operator]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List all firms."""
    answer = calls.every_page(
        profile, pb.ListOperatorsRequest(page_size=200), pb.ListOperatorsResponse
    )
    show(answer, _sheet(answer.operators), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(operator_id: _OperatorId, profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """Show one firm."""
    answer = calls.ask(
        profile, pb.GetOperatorRequest(operator_id=operator_id), pb.GetOperatorResponse
    )
    show(answer, _sheet([answer.operator]), as_json=as_json)


@app.command("update", cls=ReportedCommand)
def update(
    operator_id: _OperatorId,
    reason: Why,
    name: Annotated[str | None, typer.Option("--name", help="The firm's new name.")] = None,
    uscc: Annotated[str | None, typer.Option("--uscc", help="Its new credit code.")] = None,
    operator_class: Annotated[str | None, typer.Option("--class", help=_CLASS_HELP)] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Change a firm's name, credit code or class; what is left out stays."""

    async def changed(gateway: calls.Gateway) -> pb.UpdateOperatorResponse:
        found = await gateway.ask(
            pb.GetOperatorRequest(operator_id=operator_id), pb.GetOperatorResponse
        )
        firm = found.operator
        firm.display_name = firm.display_name if name is None else name
        firm.uscc = firm.uscc if uscc is None else uscc
        if operator_class is not None:
            firm.operator_class = operator_class
        return await gateway.ask(
            pb.UpdateOperatorRequest(operator=firm, reason=reason), pb.UpdateOperatorResponse
        )

    answer = calls.with_gateway(profile, changed)
    show(answer, _sheet([answer.operator]), as_json=as_json)


@app.command("suspend", cls=ReportedCommand)
def suspend(
    operator_id: _OperatorId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """Stop a firm for the time being (暂停)."""
    answer = calls.ask(
        profile,
        pb.SuspendOperatorRequest(operator_id=operator_id, reason=reason),
        pb.SuspendOperatorResponse,
    )
    show(answer, _sheet([answer.operator]), as_json=as_json)


@app.command("reinstate", cls=ReportedCommand)
def reinstate(
    operator_id: _OperatorId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """End a suspension."""
    answer = calls.ask(
        profile,
        pb.ReinstateOperatorRequest(operator_id=operator_id, reason=reason),
        pb.ReinstateOperatorResponse,
    )
    show(answer, _sheet([answer.operator]), as_json=as_json)


@app.command("revoke", cls=ReportedCommand)
def revoke(
    operator_id: _OperatorId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """End a firm for good (撤销)."""
    answer = calls.ask(
        profile,
        pb.RevokeOperatorRequest(operator_id=operator_id, reason=reason),
        pb.RevokeOperatorResponse,
    )
    show(answer, _sheet([answer.operator]), as_json=as_json)


@app.command("history", cls=ReportedCommand)
def history(
    thing: Annotated[str, typer.Argument(metavar="[ID]", help="Only of this thing.")] = "",
    kind: Annotated[
        str, typer.Option("--kind", help=f"Only of this kind: {', '.join(HISTORY_KINDS)}.")
    ] = "",
    everything: Annotated[
        bool,
        typer.Option("--all", help="With an operator's ID: its licences, clients, grants too."),
    ] = False,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """List every change of authority: who, when, why."""
    answer = calls.every_page(
        profile,
        pb.ListAuthorityChangesRequest(kind=kind, id="" if everything else thing, page_size=200),
        pb.ListAuthorityChangesResponse,
    )
    if everything and thing:
        kept = [change for change in answer.changes if _concerns(change, thing)]
        answer = pb.ListAuthorityChangesResponse(changes=kept)
    rows = [
        (
            str(change.sequence),
            change.kind,
            change.id,
            str(change.version),
            change.changed_by,
            utc(change.change_time),
            change.reason,
        )
        for change in answer.changes
    ]
    columns = ("sequence", "kind", "id", "version", "by", "when", "why")
    numbers = frozenset({"sequence", "version"})
    show(answer, Sheet("Changes of authority", columns, rows, numbers), as_json=as_json)


def _concerns(change: pb.AuthorityChange, operator_id: str) -> bool:
    """Tell whether a change is the operator's own, or its licence's, client's or grant's."""
    if change.kind == "operator":
        return change.id == operator_id
    document = json.loads(change.document)
    return operator_id in (document.get("operator_id"), document.get("grantee"))


def _sheet(operators: Iterable[pb.Operator]) -> Sheet:
    return Sheet(
        "Operators",
        ("operator", "name", "credit code", "class", "state", "since"),
        [
            (
                firm.operator_id,
                firm.display_name,
                firm.uscc,
                firm.operator_class,
                terms.show_state(firm.state),
                utc(firm.update_time),
            )
            for firm in operators
        ],
    )
