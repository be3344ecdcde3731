"""Answers of the usage and settlement services as proto messages."""

from collections.abc import Iterable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import settlement_service_pb2 as settlement_pb
from creditgate.v1 import usage_service_pb2 as usage_pb
from gateway.settle.prices import PricePlan
from gateway.settle.shares import Share, SharingRule
from gateway.settle.statement import Statement, StatementLine
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


def statement_message(statement: Statement) -> usage_pb.Statement:
    """Return a statement as its message."""
    return usage_pb.Statement(
        operator_id=statement.operator_id,
        month=statement.month,
        lines=map(_line_message, statement.lines),
        total_entries=statement.total_count,
        total_micro_yuan=statement.total_fee,
        shares=_share_messages(statement.shares),
        usage_sequence=statement.last_sequence,
    )


def _line_message(line: StatementLine) -> usage_pb.StatementLine:
    return usage_pb.StatementLine(
        item=line.key.item,
        source=line.key.source,
        region=line.key.region,
        entries=line.count,
        unit_price_micro_yuan=line.key.unit_price,
        fee_micro_yuan=line.fee,
        shares=_share_messages(line.shares),
    )


def _share_messages(shares: Iterable[Share]) -> Iterator[usage_pb.RevenueShare]:
    return (
        usage_pb.RevenueShare(beneficiary=beneficiary, amount_micro_yuan=amount)
        for beneficiary, amount in shares
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
    )


def rule_message(rule: SharingRule) -> settlement_pb.SharingRule:
    """Return a sharing rule as its message."""
    return settlement_pb.SharingRule(
        rule_id=rule.rule_id,
        effective_from=Timestamp(seconds=rule.effective_from),
        source_basis_points=rule.source_basis_points,
        region_basis_points=rule.region_basis_points,
        platform_basis_points=rule.platform_basis_points,
    )
