"""``creditgate price``: what a record costs."""

from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as pb
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Begins, Profile, Why
from gateway.cli.output import Sheet, show, utc, yuan

app = typer.Typer(help="Price plans.", no_args_is_help=True)


@app.command("create", cls=ReportedCommand)
def create(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN", help="Id of the plan.")],
    prices: Annotated[
        list[pb.ClassPrice],
        typer.Option(
            "--price",
            parser=terms.price,
            metavar="CLASS=MICROYUAN",
            help="Price of one record of a class; repeat for every class.",
        ),
    ],
    begins: Begins,
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Put a price plan into force; classes without a price can't be served."""
    plan = pb.PricePlan(
        plan_id=plan_id,
        effective_from=Timestamp(seconds=begins),
        prices=prices,
    )
    answer = calls.ask(
        profile,
        pb.CreatePricePlanRequest(plan=plan, reason=reason),
        pb.CreatePricePlanResponse,
    )
    show(answer, _sheet(answer.plan), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List all price plans."""
    answer = calls.ask(profile, pb.ListPricePlansRequest(), pb.ListPricePlansResponse)
    show(answer, *map(_sheet, answer.plans), as_json=as_json)


def _sheet(plan: pb.PricePlan) -> Sheet:
    return Sheet(
        f"Price plan {plan.plan_id}, from {utc(plan.effective_from)}",
        ("price class", "yuan a record"),
        [(price.price_class, yuan(price.unit_price_micro_yuan)) for price in plan.prices],
        frozenset({"yuan a record"}),
    )
