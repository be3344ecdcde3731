"""Which plans that another region tells of charge for time."""

from hashlib import sha256

from creditgate.rating.components import CAP, FLAT, MINIMUM, PriceComponent
from creditgate.rating.plans import plan_bytes
from creditgate.rating.prices import PricePlan
from creditgate.v1.federation_service_pb2 import ClearingRating
from creditgate.v1.usage_service_pb2 import OperatorPeriod, RatedPlan, RatingBasis
from gateway.federation.clearing.time_plans import time_plans


def plan(name: str, *components: PriceComponent) -> bytes:
    """Return a plan as it is told of."""
    made = PricePlan(plan_id=name, effective_from=5, prices={"a": 1}, components=components)
    return plan_bytes(made)


def component(kind: int, amount: int, *classes: str) -> PriceComponent:
    """Return a component for operators of some classes, or of all."""
    return PriceComponent.model_validate(
        {
            "component_id": f"c{kind}",
            "kind": kind,
            "amount": amount,
            "operator_classes": frozenset(classes),
        }
    )


def rating(*plans: bytes, decided: bool = True, operator_class: str = "bank") -> ClearingRating:
    """Return a rating by plans, of a region that is of a class there."""
    digests = [sha256(each).digest() for each in plans]
    return ClearingRating(
        basis=RatingBasis(
            plans=[RatedPlan(plan_id="p", sha256=each) for each in digests if decided],
            operator_periods=[OperatorPeriod(operator_class=operator_class, stands=True)],
        ),
        plans=plans,
    )


def test_a_plan_with_a_flat_fee_or_a_minimum_for_this_region_charges_for_time() -> None:
    flat = plan("flat", component(FLAT, 70, "bank"))
    both = plan("both", component(FLAT, 3), component(MINIMUM, 20))
    found = time_plans([rating(flat, both), rating(flat)])
    assert sorted((each.plan_id, each.amount, each.effective_from) for each in found) == [
        ("both", 23, 5),
        ("flat", 70, 5),
    ]
    assert {each.plan for each in found} == {sha256(each).hexdigest() for each in (flat, both)}


def test_other_plans_do_not() -> None:
    assert not time_plans([rating(plan("plain"), plan("cap", component(CAP, 9)))])
    assert not time_plans([rating(plan("others", component(FLAT, 7, "public")))])
    # What decided nothing is of no meaning, and may be no plan.
    told = rating(plan("unused", component(FLAT, 7)), b"no plan", decided=False)
    assert not time_plans([told])
