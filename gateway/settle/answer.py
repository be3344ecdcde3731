"""Answers of the usage and settlement services as proto messages."""

from collections.abc import Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.settle.bill import Charge
from gateway.settle.components import PriceComponent
from gateway.settle.explain import explained
from gateway.settle.prices import PricePlan
from gateway.settle.shares import SharingRule
from gateway.settle.usage import MeteredAnswer, usage_name


def usage_entries(answer: MeteredAnswer) -> Iterator[usage_pb.UsageEntry]:
    """Yield the entries of one answer, in order of serving."""
    for index, entry in enumerate(answer.entries):
        yield usage_pb.UsageEntry(
            name=usage_name(answer.operator_id, answer.sequence, index),
            client_id=answer.client_id,
            request_id=answer.request_id,
            record=f"records/{entry.record_id}",
            revision=entry.revision,
            item=entry.item,
            source=entry.source,
            region=entry.region,
            purpose=answer.purpose,
            licence=answer.licence,
            consent=answer.consent,
            serve_time=Timestamp(seconds=answer.served_at),
            fee_micro_yuan=entry.unit_price,
            decision_id=answer.decision_id,
        )


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


def rule_message(rule: SharingRule) -> settlement_pb.SharingRule:
    """Return a sharing rule as its message."""
    return settlement_pb.SharingRule(
        rule_id=rule.rule_id,
        effective_from=Timestamp(seconds=rule.effective_from),
        source_basis_points=rule.source_basis_points,
        region_basis_points=rule.region_basis_points,
        platform_basis_points=rule.platform_basis_points,
        operator_basis_points=rule.operator_basis_points,
        rebate_operator_classes=sorted(rule.rebate_operator_classes),
        source_division=rule.source_division,
        completeness_basis_points=rule.completeness_basis_points,
    )


def charge_message(charge: Charge) -> settlement_pb.PriceCharge:
    """Return a charge as its message, explained in both languages."""
    return settlement_pb.PriceCharge(
        plan_id=charge.plan_id,
        component_id=charge.component,
        kind=settlement_pb.PriceComponentKind.ValueType(charge.kind),
        period=Interval(
            start_time=Timestamp(seconds=charge.from_), end_time=Timestamp(seconds=charge.until)
        ),
        quantity=charge.quantity,
        fee_micro_yuan=charge.fee,
        explanation_zh=explained(charge.explanation, "zh"),
        explanation_en=explained(charge.explanation, "en"),
    )
