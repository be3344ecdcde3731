"""``creditgate price``: what use costs."""

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Begins, Profile, Why
from gateway.cli.output import Sheet, show, utc, yuan
from gateway.cli.price_components import charges_sheet, components_sheet, read_components

app = typer.Typer(help="Price plans.", no_args_is_help=True)

_PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="Id of the plan.")]
_Prices = Annotated[
    list[pb.ClassPrice],
    typer.Option(
        "--price",
        parser=terms.price,
        metavar="CLASS=MICROYUAN",
        help="Price of one record of a class; repeat for every class.",
    ),
]
_Components = Annotated[
    Path | None,
    typer.Option(
        "--components",
        metavar="FILE",
        dir_okay=False,
        help="Components beyond the prices of classes, a list in YAML: tiers, free records, caps.",
    ),
]


@app.command("create", cls=ReportedCommand)
def create(
    plan_id: _PlanId,
    prices: _Prices,
    begins: Begins,
    reason: Why,
    components: _Components = None,
    coming: Annotated[
        list[str] | None,
        typer.Option("--coming", metavar="CLASS", help="A class that no catalogue item has yet."),
    ] = None,
    coming_operators: Annotated[
        list[str] | None,
        typer.Option(
            "--coming-operators", metavar="CLASS", help="A class that no operator has yet."
        ),
    ] = None,
    dropped: Annotated[
        list[str] | None,
        typer.Option(
            "--drop",
            metavar="CLASS",
            help="A class that shall have no price any more: stop its items.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Put a price plan into force; what has no price can't be served."""
    plan = _plan(plan_id, prices, components)
    plan.effective_from.CopyFrom(Timestamp(seconds=begins))
    answer = calls.ask(
        profile,
        pb.CreatePricePlanRequest(
            plan=plan,
            reason=reason,
            coming_price_classes=coming,
            dropped_price_classes=dropped,
            coming_operator_classes=coming_operators,
        ),
        pb.CreatePricePlanResponse,
    )
    show(answer, *_sheets(answer.plan), as_json=as_json)


@app.command("withdraw", cls=ReportedCommand)
def withdraw(
    plan_id: _PlanId, reason: Why, profile: Profile = PROFILE, as_json: AsJson = False
) -> None:
    """Withdraw a price plan that is not in force yet; another may start at its instant."""
    request = pb.WithdrawPricePlanRequest(plan_id=plan_id, reason=reason)
    answer = calls.ask(profile, request, pb.WithdrawPricePlanResponse)
    show(answer, Sheet("Withdrawn", ("plan",), [(plan_id,)]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List all price plans."""
    answer = calls.every_page(profile, pb.ListPricePlansRequest(), pb.ListPricePlansResponse)
    sheets = [sheet for plan in answer.plans for sheet in _sheets(plan)]
    show(answer, *sheets, as_json=as_json)


@app.command("try", cls=ReportedCommand)
def try_(
    plan_id: _PlanId,
    prices: _Prices,
    month: Annotated[
        str, typer.Option("--month", metavar="YYYY-MM", help="Month to try it on (UTC).")
    ],
    components: _Components = None,
    operator_id: Annotated[
        str, typer.Option("--operator", metavar="OPERATOR", help="Only this operator.")
    ] = "",
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Tell what a month's use would have cost by a plan; nothing is put into force (试算)."""
    request = pb.DryRunPricePlanRequest(
        plan=_plan(plan_id, prices, components), month=month, operator_id=operator_id
    )
    answer = calls.every_page(profile, request, pb.DryRunPricePlanResponse)
    numbers = ("yuan by plans in force", "yuan by the plan tried", "records without price")
    overview = Sheet(
        f"{month} by {plan_id}",
        ("operator", "plans in force", *numbers),
        [
            (
                bill.operator_id,
                ", ".join(bill.plan_ids),
                yuan(bill.total_micro_yuan),
                yuan(bill.tried_micro_yuan),
                str(bill.unpriced_records),
            )
            for bill in answer.bills
        ],
        frozenset(numbers),
    )
    charges = [charges_sheet(bill) for bill in answer.bills if bill.charges]
    show(answer, overview, *charges, as_json=as_json)


def _plan(plan_id: str, prices: list[pb.ClassPrice], components: Path | None) -> pb.PricePlan:
    read = [] if components is None else read_components(components)
    return pb.PricePlan(plan_id=plan_id, prices=prices, components=read)


def _sheets(plan: pb.PricePlan) -> list[Sheet]:
    prices = Sheet(
        f"Price plan {plan.plan_id}, from {utc(plan.effective_from)}",
        ("price class", "yuan a record"),
        [(price.price_class, yuan(price.unit_price_micro_yuan)) for price in plan.prices],
        frozenset({"yuan a record"}),
    )
    return [prices, components_sheet(plan)] if plan.components else [prices]
