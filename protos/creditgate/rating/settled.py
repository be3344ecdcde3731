"""What statements book for a month, added up and compared. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.usage_service_pb2 import RevenueShare


class LineKey(NamedTuple):
    """What a line is about; all empty for what belongs to no use."""

    item: str
    source: str
    region: str


class Settled(NamedTuple):
    """What closings booked for a month: fee and entries by line, and shares; micro-yuan."""

    fees: Counter[LineKey]
    entries: Counter[LineKey]
    shares: Counter[str]

    @property
    def total(self) -> int:
        """Sum of fees."""
        return sum(self.fees.values())


def settled_so_far(month: str, closed: Iterable[pb.Statement]) -> Settled:
    """Return what an operator's closed statements booked for ``month``."""
    settled = Settled(Counter(), Counter(), Counter())
    for statement in closed:
        if statement.month == month:
            _add(settled, statement.lines, statement.shares)
        for adjustment in statement.adjustments:
            if adjustment.month == month:
                _add(settled, adjustment.lines, adjustment.shares)
    return settled


def by_beneficiary(shares: Iterable[RevenueShare], sign: int = 1) -> Counter[str]:
    """Return the sum of ``sign`` times each beneficiary's shares, micro-yuan."""
    amounts: Counter[str] = Counter()
    for share in shares:
        amounts[share.beneficiary] += sign * share.amount_micro_yuan
    return amounts


def _add(
    settled: Settled, lines: Iterable[pb.StatementLine], shares: Iterable[pb.RevenueShare]
) -> None:
    for line in lines:
        key = LineKey(line.item, line.source, line.region)
        settled.fees[key] += line.fee_micro_yuan
        settled.entries[key] += line.entries
    settled.shares.update(by_beneficiary(shares))


def less(after: Counter[Any], before: Counter[Any]) -> Counter[Any]:
    """Return the difference, where there is one; it may be negative."""
    names = after.keys() | before.keys()
    return Counter({name: d for name in names if (d := after[name] - before[name])})


def share_messages(amounts: Counter[str]) -> list[RevenueShare]:
    """Return amounts as shares, in order of beneficiary; nothing is said of nothing."""
    return [
        RevenueShare(beneficiary=name, amount_micro_yuan=amounts[name])
        for name in sorted(amounts)
        if amounts[name]
    ]
