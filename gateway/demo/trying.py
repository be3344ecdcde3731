"""Scene of prices: a plan with components is tried on past use before it is put into force (试算)."""

from typing import Final

from creditgate.v1 import settlement_service_pb2 as pb
from gateway.cli.output import yuan
from gateway.cli.price_components import charges_sheet
from gateway.demo.account import Section, Step
from gateway.demo.cast import PRICES
from gateway.demo.stage import Stage

_CAP: Final = 1_000_000
_CAPPED: Final = "no more than the cap"
_Kind = pb.PriceComponentKind


async def tried(stage: Stage) -> Section:
    """Try a plan with tiers, free records and a cap on the month that runs."""
    alpha = stage.alpha
    month = max(alpha.charges.entries)
    (bill,) = (
        await stage.administrator.ask(
            pb.DryRunPricePlanRequest(
                plan=_plan(), month=month, operator_id=alpha.party.operator_id
            ),
            pb.DryRunPricePlanResponse,
        )
    ).bills
    plans = await stage.administrator.every_page(
        pb.ListPricePlansRequest(), pb.ListPricePlansResponse
    )
    explained = all(charge.explanation_zh and charge.explanation_en for charge in bill.charges)
    steps = (
        Step(
            "administrator",
            f"tries tiers, 5 free records and a cap on alpha's use of {month}",
            f"{_CAPPED} instead of {yuan(alpha.charges.micro_yuan[month])} yuan",
            f"{_capped(bill.tried_micro_yuan)} instead of {yuan(bill.total_micro_yuan)} yuan",
        ),
        Step(
            "administrator",
            "adds up the charges, each of which explains itself",
            f"{yuan(bill.tried_micro_yuan)} yuan, explained",
            f"{yuan(sum(charge.fee_micro_yuan for charge in bill.charges))} yuan,"
            f" {'explained' if explained else 'not all explained'}",
        ),
        Step(
            "administrator",
            "lists the plans: nothing was put into force",
            "1 plan",
            f"{len(plans.plans)} plan",
        ),
    )
    return Section(
        "A price plan is tried on past use before it is in force (试算)",
        steps,
        (charges_sheet(bill),),
    )


def _capped(tried_micro_yuan: int) -> str:
    # Of an operator that is new in the month, the cap counts for its days alone.
    return _CAPPED if tried_micro_yuan <= _CAP else f"{yuan(tried_micro_yuan)} yuan"


def _plan() -> pb.PricePlan:
    return pb.PricePlan(
        plan_id="demo-next",
        prices=[
            pb.ClassPrice(price_class=name, unit_price_micro_yuan=price)
            for name, price in PRICES.items()
        ],
        components=[
            pb.PriceComponent(
                component_id="adverse-by-tiers",
                kind=_Kind.PRICE_COMPONENT_KIND_GRADUATED,
                price_classes=["adverse"],
                tiers=[
                    pb.PriceTier(from_records=0, unit_price_micro_yuan=PRICES["adverse"]),
                    pb.PriceTier(from_records=10, unit_price_micro_yuan=100_000),
                ],
            ),
            pb.PriceComponent(
                component_id="public-benefit",
                kind=_Kind.PRICE_COMPONENT_KIND_FREE_TIER,
                records=5,
            ),
            pb.PriceComponent(
                component_id="most",
                kind=_Kind.PRICE_COMPONENT_KIND_CAP,
                amount_micro_yuan=_CAP,
            ),
        ],
    )
