"""Credit notes for statements: what a closed statement is proven to charge too much. Pure.

Given back is what the statement says is due beyond what follows from the usage log and the plans;
taken back is what each beneficiary has more by it than by the month as it is worked out again.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from creditgate.rating.settled import LineKey, by_beneficiary, less, share_messages
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_service_pb2 import CreditNote, Statement
from gateway.settle.explain import yuan
from gateway.settle.shares import PLATFORM
from gateway.settlement.credited import credited_lines

_OF_NO_USE: Final = LineKey("", "", "")
_WHY: Final = (
    "{month} 账单多计：账单应付 {due} 元，按计量日志和价格方案应付 {right} 元，此前已退 {credited} 元："
    "本行退回 {amount} 元",
    "the statement of {month} charges too much: it says that {due} yuan are due, by the usage log"
    " and the price plans it is {right} yuan, {credited} yuan of it given back before: {amount}"
    " yuan given back here",
)


class WrongStatement(NamedTuple):
    """A closed statement that is proven to charge too much, and by how much (micro-yuan)."""

    statement: Statement
    overcharge: int


def statement_note(
    proven: WrongStatement, right: Statement, earlier: Iterable[CreditNote]
) -> CreditNote:
    """Return the credit note of a statement; who, when and why are left open.

    ``right`` is the month worked out again. ``earlier`` are the notes given for statements of the
    month. Raises Refused STATE_CONFLICT where nothing is left to give back.
    """
    statement, overcharge = proven
    credited = sum(each.amount_micro_yuan for each in earlier)
    amount = overcharge - credited
    if amount <= 0:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The statement charges nothing too much, or that was given back already.",
        )
    fees = less(_due_by_line(statement), _due_by_line(right))
    fees[_OF_NO_USE] += amount - sum(fees.values())
    shares = less(by_beneficiary(statement.due_shares), by_beneficiary(right.due_shares))
    # What the statement does not tell the receiver of stayed with the platform.
    shares[PLATFORM] += amount - sum(shares.values())
    told = {
        "month": statement.month,
        "due": yuan(statement.due_micro_yuan),
        "right": yuan(statement.due_micro_yuan - overcharge),
        "credited": yuan(credited),
    }
    return CreditNote(
        operator_id=statement.operator_id,
        amount_micro_yuan=amount,
        uses=credited_lines(fees, _WHY, told),
        shares=share_messages(shares),
        rule_ids=right.rule_ids,
        plan_ids=right.plan_ids,
        statement_month=statement.month,
    )


def _due_by_line(statement: Statement) -> Counter[LineKey]:
    """Return what is due by line: of the month, of adjustments, less what is given back."""
    due: Counter[LineKey] = Counter()
    for line in (*statement.lines, *(own for each in statement.adjustments for own in each.lines)):
        due[LineKey(line.item, line.source, line.region)] += line.fee_micro_yuan
    for note in statement.credit_notes:
        for use in note.uses:
            due[LineKey(use.item, use.source, use.region)] -= use.amount_micro_yuan
    return due
