"""Statements as messages: a rated and shared month, each line with its reason in words. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.settlement_service_pb2 import PriceComponentKind
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from gateway.settle.bill import Bill, Charge, SharedBill
from gateway.settle.explain import explained
from gateway.settle.shares import Share
from gateway.settle.use import MonthUse, UsePart
from gateway.settlement.amounts import by_beneficiary, share_messages

_KIND: Final = "PRICE_COMPONENT_KIND_"


class LineKey(NamedTuple):
    """What a line is about; all empty for what belongs to no use."""

    item: str
    source: str
    region: str


def rated_statement(month: str, shared: SharedBill, use: MonthUse) -> pb.Statement:
    """Return the statement of a month's own use: nothing of other months, nothing given back."""
    bill = shared.bill
    return pb.Statement(
        operator_id=bill.operator_id,
        month=month,
        lines=statement_lines(shared, use.parts),
        total_entries=sum(part.records for part in use.parts),
        total_micro_yuan=bill.total,
        shares=_shares(shared.shares),
        charges=map(_charge, bill.charges),
        details=_details(bill),
        sharing=_sharing(shared),
        pools=_pools(shared),
        due_micro_yuan=bill.total,
        due_shares=_shares(shared.shares),
        plan_ids=bill.plan_ids,
        rule_ids=shared.rule_ids,
        list_micro_yuan=sum(part.records * part.unit_price for part in use.parts),
    )


def complete(
    statement: pb.Statement,
    adjustments: Iterable[pb.StatementAdjustment],
    notes: Iterable[pb.CreditNote],
) -> None:
    """Add what came to other months and what is given back, and work out what is due."""
    statement.adjustments.extend(adjustments)
    statement.credit_notes.extend(notes)
    due = by_beneficiary(statement.shares)
    for adjustment in statement.adjustments:
        statement.due_micro_yuan += adjustment.amount_micro_yuan
        due.update(by_beneficiary(adjustment.shares))
    for note in statement.credit_notes:
        statement.due_micro_yuan -= note.amount_micro_yuan
        due.update(by_beneficiary(note.shares, -1))
    del statement.due_shares[:]
    statement.due_shares.extend(share_messages(due))


def statement_lines(shared: SharedBill, parts: Sequence[UsePart]) -> list[pb.StatementLine]:
    """Return fees and shares by item, source and region, in this order."""
    entries: Counter[LineKey] = Counter()
    prices: dict[LineKey, set[int]] = defaultdict(set)
    for part in parts:
        key = LineKey(part.item, part.source, part.region)
        entries[key] += part.records
        prices[key].add(part.unit_price)
    fees: Counter[LineKey] = Counter(dict.fromkeys(entries, 0))
    shares: dict[LineKey, Counter[str]] = defaultdict(Counter)
    for line in shared.lines:
        key = LineKey(line.item, line.source, line.region)
        fees[key] += line.fee
        for beneficiary, amount in line.shares:
            shares[key][beneficiary] += amount
    return [
        pb.StatementLine(
            **key._asdict(),
            entries=entries[key],
            unit_price_micro_yuan=next(iter(prices[key])) if len(prices[key]) == 1 else 0,
            fee_micro_yuan=fees[key],
            shares=share_messages(shares[key]),
        )
        for key in sorted(fees)
    ]


def _shares(shares: Iterable[Share]) -> Iterator[pb.RevenueShare]:
    return (
        pb.RevenueShare(beneficiary=beneficiary, amount_micro_yuan=amount)
        for beneficiary, amount in shares
    )


def _charge(charge: Charge) -> pb.StatementCharge:
    return pb.StatementCharge(
        plan_id=charge.plan_id,
        component_id=charge.component,
        kind=PriceComponentKind.Name(PriceComponentKind.ValueType(charge.kind)).removeprefix(_KIND),
        period=Interval(
            start_time=Timestamp(seconds=charge.from_), end_time=Timestamp(seconds=charge.until)
        ),
        quantity=charge.quantity,
        steps=(
            pb.StatementStep(
                quantity=step.quantity,
                unit_price_micro_yuan=step.unit_price,
                fee_micro_yuan=step.fee,
            )
            for step in charge.steps
        ),
        fee_micro_yuan=charge.fee,
        explanation_zh=explained(charge.explanation, "zh"),
        explanation_en=explained(charge.explanation, "en"),
    )


def _details(bill: Bill) -> Iterator[pb.StatementDetail]:
    return (
        pb.StatementDetail(
            charge=line.charge,
            item=line.item,
            source=line.source,
            region=line.region,
            purpose=Purpose.ValueType(line.purpose),
            part_from=Timestamp(seconds=line.part_from),
            quantity=line.quantity,
            fee_micro_yuan=line.fee,
            explanation_zh=explained(line.explanation, "zh"),
            explanation_en=explained(line.explanation, "en"),
        )
        for line in bill.lines
    )


def _sharing(shared: SharedBill) -> Iterator[pb.StatementSharing]:
    return (
        pb.StatementSharing(
            rule_id=line.rule_id,
            item=line.item,
            source=line.source,
            region=line.region,
            fee_micro_yuan=line.fee,
            shares=_shares(line.shares),
            explanation_zh=explained(line.explanation, "zh"),
            explanation_en=explained(line.explanation, "en"),
        )
        for line in shared.lines
    )


def _pools(shared: SharedBill) -> Iterator[pb.StatementPool]:
    return (
        pb.StatementPool(
            rule_id=pool.rule_id,
            amount_micro_yuan=pool.amount,
            shares=(
                pb.RevenueShare(beneficiary=share.beneficiary, amount_micro_yuan=share.amount)
                for share in pool.shares
            ),
            share_explanations_zh=(explained(share.explanation, "zh") for share in pool.shares),
            share_explanations_en=(explained(share.explanation, "en") for share in pool.shares),
            explanation_zh=explained(pool.explanation, "zh"),
            explanation_en=explained(pool.explanation, "en"),
        )
        for pool in shared.pools
    )
