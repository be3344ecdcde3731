"""Statements as messages: a rated and shared month, each line with its reason in words. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from creditgate.rating.bill import Bill
from creditgate.rating.settled import LineKey, by_beneficiary, share_messages
from creditgate.rating.statements import billed
from creditgate.v1 import usage_service_pb2 as pb
from gateway.settle.bill import SharedBill
from gateway.settle.explain import explained
from gateway.settle.shares import Share
from gateway.settle.use import MonthUse


def rated_statement(month: str, shared: SharedBill, use: MonthUse) -> pb.Statement:
    """Return the statement of a month's own use: nothing of other months, nothing given back."""
    bill = shared.bill
    statement = billed(month, bill, use)
    _own_lines(statement, shared)
    _explain(statement, bill)
    statement.shares.extend(_shares(shared.shares))
    statement.sharing.extend(_sharing(shared))
    statement.pools.extend(_pools(shared))
    statement.due_shares.extend(_shares(shared.shares))
    statement.rule_ids.extend(shared.rule_ids)
    return statement


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


def without_basis(statement: pb.Statement) -> None:
    """Take out what statements did not tell before they told what they were rated by."""
    statement.ClearField("basis")
    for adjustment in statement.adjustments:
        for name in ("basis", "settled_usage_size", "settled_subjects"):
            adjustment.ClearField(name)


def _own_lines(statement: pb.Statement, shared: SharedBill) -> None:
    """Tell of each line how its fee is shared."""
    shares: dict[LineKey, Counter[str]] = defaultdict(Counter)
    for line in shared.lines:
        for beneficiary, amount in line.shares:
            shares[LineKey(line.item, line.source, line.region)][beneficiary] += amount
    for line in statement.lines:
        line.shares.extend(share_messages(shares[LineKey(line.item, line.source, line.region)]))


def _explain(statement: pb.Statement, bill: Bill) -> None:
    """Tell why each charge, and each part of one, is what it is."""
    told = (
        *zip(statement.charges, bill.charges, strict=True),
        *zip(statement.details, bill.lines, strict=True),
    )
    for message, explained_by in told:
        message.explanation_zh = explained(explained_by.explanation, "zh")
        message.explanation_en = explained(explained_by.explanation, "en")


def _shares(shares: Iterable[Share]) -> Iterator[pb.RevenueShare]:
    return (
        pb.RevenueShare(beneficiary=beneficiary, amount_micro_yuan=amount)
        for beneficiary, amount in shares
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
