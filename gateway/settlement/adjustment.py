"""Adjustments: what came to a month after it was closed, as the difference of two ratings. Pure.

A closed statement never changes. What the ledger got later, uses as well as reversals, is
rated with the rest of its month by what was in force then; the next closing books the
difference to what the month came to by what was in the ledger at the closing before. Where a
statement that was signed says otherwise, a credit note puts that right, and an adjustment never:
so it is given back once.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from creditgate.rating.settled import less, settled_so_far, share_messages
from creditgate.v1 import usage_service_pb2 as pb
from gateway.settle.explain import yuan


class SettledUse(NamedTuple):
    """What earlier closings counted: the log's leaves before ``size``, and subjects."""

    size: int
    subjects: Sequence[pb.SubjectCount]


def subjects_settled(month: str, closed: Iterable[pb.Statement]) -> Sequence[pb.SubjectCount]:
    """Return the subjects of ``month`` that the newest statement about it counts, in order of
    closing."""
    bases = [
        part.basis
        for statement in closed
        for part in (statement, *statement.adjustments)
        if part.month == month
    ]
    return list(bases[-1].subjects) if bases else []


def is_settled(month: str, closed: Iterable[pb.Statement]) -> bool:
    """Tell whether closed statements say anything of a month."""
    parts = (part for each in closed for part in (each, *each.adjustments))
    return any(part.month == month for part in parts)


def adjustment(
    then: pb.Statement | None, now: pb.Statement, settled: SettledUse
) -> pb.StatementAdjustment | None:
    """Return the adjustment of a month that is rated ``now``, and was ``then`` by the use that
    ``settled`` tells of; None where it was in no closing.

    None where nothing differs.
    """
    before = settled_so_far(now.month, [] if then is None else [then])
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
        basis=now.basis,
        settled_usage_size=settled.size,
        settled_subjects=settled.subjects,
        explanation_zh=(
            "{month} 结算后入账 {entries} 条（冲回为负）：按当时的价格重新计费，"
            "此前 {before} 元，现为 {after} 元，调整 {amount} 元"
        ).format(**numbers),
        explanation_en=(
            "{entries} records of {month} (reversals negative) came after it was closed: by the"
            " prices of the time it was {before} yuan and is {after} yuan, {amount} yuan more"
        ).format(**numbers),
    )
