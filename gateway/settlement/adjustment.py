"""Adjustments: what came to a month after it was closed, as the difference of two ratings. Pure.

A closed statement never changes. What the ledger got later, uses as well as reversals, is
rated with the rest of its month by what was in force then; the next closing books the
difference to all that earlier closings booked for the month.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from creditgate.v1 import usage_service_pb2 as pb
from gateway.settle.explain import yuan
from gateway.settlement.amounts import by_beneficiary, share_messages
from gateway.settlement.statement import LineKey


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


def adjustment(before: Settled, now: pb.Statement) -> pb.StatementAdjustment | None:
    """Return the adjustment of a month that was settled as ``before`` and is rated ``now``.

    None where nothing differs.
    """
    after = settled_so_far(now.month, [now])
    fees, entries, shares = (less(*pair) for pair in zip(after, before, strict=True))
    if not (fees or entries or shares):
        return None
    amount = after.total - before.total
    numbers = {"month": now.month, "before": yuan(before.total), "after": yuan(after.total)}
    numbers |= {"entries": str(sum(entries.values())), "amount": yuan(amount)}
    return pb.StatementAdjustment(
        month=now.month,
        before_micro_yuan=before.total,
        after_micro_yuan=after.total,
        amount_micro_yuan=amount,
        lines=(
            pb.StatementLine(**key._asdict(), entries=entries[key], fee_micro_yuan=fees[key])
            for key in sorted(fees.keys() | entries.keys())
        ),
        shares=share_messages(shares),
        plan_ids=now.plan_ids,
        rule_ids=now.rule_ids,
        explanation_zh=(
            "{month} 结算后入账 {entries} 条（冲回为负）：按当时的价格重新计费，"
            "此前 {before} 元，现为 {after} 元，调整 {amount} 元"
        ).format(**numbers),
        explanation_en=(
            "{entries} records of {month} (reversals negative) came after it was closed: by the"
            " prices of the time it was {before} yuan and is {after} yuan, {amount} yuan more"
        ).format(**numbers),
    )


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
