"""Answers of the usage and settlement services as proto messages."""

from collections.abc import Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.rating.bill import Charge
from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.settle.explain import explained
from gateway.settle.shares import SharingRule
from gateway.settle.usage import MeteredAnswer, usage_name


def usage_entries(answer: MeteredAnswer) -> Iterator[usage_pb.UsageEntry]:
    """Yield the entries of one answer, in order of serving."""
    for index, entry in enumerate(answer.entries):
        number = index if entry.number is None else entry.number
        yield usage_pb.UsageEntry(
            name=usage_name(answer.operator_id, answer.usage_index, number),
            client_id=answer.client_id,
            request_id=entry.asked_as or answer.request_id,
            record=f"records/{entry.record_id}",
            revision=entry.revision,
            item=entry.item,
            source=entry.source,
            region=entry.region,
            purpose=answer.purpose,
            licence=entry.licence,
            consent=entry.consent or answer.consent,
            serve_time=Timestamp(seconds=answer.served_at),
            fee_micro_yuan=entry.unit_price,
            decision_id=answer.decision_id,
            home_region=entry.home,
            region_request_id=answer.request_id if entry.home else "",
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
