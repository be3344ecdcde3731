"""What a bill makes of a statement: all of it but who gets what, and the words. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.rating.bill import Bill, BillLine, Charge
from creditgate.rating.settled import LineKey
from creditgate.rating.use import RatedUse, UsePart
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.settlement_service_pb2 import PriceComponentKind
from creditgate.v1.vocabulary_pb2 import Interval, Purpose

_KIND: Final = "PRICE_COMPONENT_KIND_"


def billed(month: str, bill: Bill, use: RatedUse) -> pb.Statement:
    """Return the statement of a month's own use: nothing of other months, nothing given back."""
    return pb.Statement(
        operator_id=bill.operator_id,
        month=month,
        lines=_lines(bill, use.parts),
        total_entries=sum(part.records for part in use.parts),
        total_micro_yuan=bill.total,
        charges=map(_charge, bill.charges),
        details=map(_detail, bill.lines),
        due_micro_yuan=bill.total,
        plan_ids=bill.plan_ids,
        list_micro_yuan=sum(part.records * part.unit_price for part in use.parts),
    )


def _lines(bill: Bill, parts: Sequence[UsePart]) -> list[pb.StatementLine]:
    """Return fees by item, source and region, in this order."""
    entries: Counter[LineKey] = Counter()
    prices: dict[LineKey, set[int]] = defaultdict(set)
    for part in parts:
        key = LineKey(part.item, part.source, part.region)
        entries[key] += part.records
        prices[key].add(part.unit_price)
    fees: Counter[LineKey] = Counter(dict.fromkeys(entries, 0))
    for line in bill.lines:
        fees[LineKey(line.item, line.source, line.region)] += line.fee
    return [
        pb.StatementLine(
            **key._asdict(),
            entries=entries[key],
            unit_price_micro_yuan=next(iter(prices[key])) if len(prices[key]) == 1 else 0,
            fee_micro_yuan=fees[key],
        )
        for key in sorted(fees)
    ]


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
    )


def _detail(line: BillLine) -> pb.StatementDetail:
    return pb.StatementDetail(
        charge=line.charge,
        item=line.item,
        source=line.source,
        region=line.region,
        purpose=Purpose.ValueType(line.purpose),
        part_from=Timestamp(seconds=line.part_from),
        quantity=line.quantity,
        fee_micro_yuan=line.fee,
    )
