"""Price plans as messages: written in one form, so that a digest names a plan; and read again."""

from hashlib import sha256

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from creditgate.rating.components import PriceComponent
from creditgate.rating.prices import PricePlan
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1.vocabulary_pb2 import Purpose


def plan_message(plan: PricePlan) -> settlement_pb.PricePlan:
    """Return a price plan as its message, classes in order."""
    return settlement_pb.PricePlan(
        plan_id=plan.plan_id,
        effective_from=Timestamp(seconds=plan.effective_from),
        prices=(
            settlement_pb.ClassPrice(price_class=price_class, unit_price_micro_yuan=price)
            for price_class, price in sorted(plan.prices.items())
        ),
        components=map(_component_message, plan.components),
    )


def _component_message(component: PriceComponent) -> settlement_pb.PriceComponent:
    return settlement_pb.PriceComponent(
        component_id=component.component_id,
        kind=component.kind,
        items=sorted(component.items),
        price_classes=sorted(component.price_classes),
        purposes=map(Purpose.ValueType, sorted(component.purposes)),
        operator_classes=sorted(component.operator_classes),
        unit_price_micro_yuan=component.unit_price,
        amount_micro_yuan=component.amount,
        records=component.records,
        tiers=(
            settlement_pb.PriceTier(
                from_records=tier.from_records, unit_price_micro_yuan=tier.unit_price
            )
            for tier in component.tiers
        ),
    )


def plan_bytes(plan: PricePlan) -> bytes:
    """Return a plan in its one form; its SHA-256 is what statements name it by."""
    return plan_message(plan).SerializeToString(deterministic=True)


def plan_digest(plan: PricePlan) -> bytes:
    """Return the SHA-256 of a plan in its one form."""
    return sha256(plan_bytes(plan)).digest()


def plan_of(serialised: bytes) -> PricePlan:
    """Return the plan that a serialised PricePlan is. Raises ProofInvalid."""
    message = strictly(settlement_pb.PricePlan, serialised)
    try:
        plan = PricePlan(
            plan_id=message.plan_id,
            effective_from=message.effective_from.seconds,
            prices={each.price_class: each.unit_price_micro_yuan for each in message.prices},
            components=tuple(map(component_of, message.components)),
        )
    except ValidationError:
        raise ProofInvalid("a price plan is none") from None
    if plan_bytes(plan) != serialised:
        raise ProofInvalid("a price plan is not in its one form")
    return plan


def component_of(message: settlement_pb.PriceComponent) -> PriceComponent:
    """Return the component that a message is. Raises ValidationError."""
    return PriceComponent.model_validate(
        {
            "component_id": message.component_id,
            "kind": message.kind,
            "items": list(message.items),
            "price_classes": list(message.price_classes),
            "purposes": list(message.purposes),
            "operator_classes": list(message.operator_classes),
            "unit_price": message.unit_price_micro_yuan,
            "amount": message.amount_micro_yuan,
            "records": message.records,
            "tiers": [
                {"from_records": tier.from_records, "unit_price": tier.unit_price_micro_yuan}
                for tier in message.tiers
            ],
        }
    )
