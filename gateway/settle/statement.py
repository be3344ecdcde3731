"""Statements: what an operator owes for a month, how it is shared, and how it is booked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.month import utc_text
from gateway.settle.shares import Share, SharingBook, SharingRule, share
from gateway.settle.usage import PeriodUse, UsageTotal


class LineKey(NamedTuple):
    """What a line is about; ``unit_price`` in micro-yuan. Lines stand in this order."""

    item: str
    source: str
    region: str
    unit_price: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """Use under one key: ``fee`` is count times unit price, and ``shares`` sum to it.

    Money in micro-yuan.
    """

    key: LineKey
    count: int
    fee: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement (账单). ``month`` reads YYYY-MM (UTC); money in micro-yuan.

    ``shares`` sum up those of the lines, in order of beneficiary, and sum to
    ``total_fee``. ``last_sequence`` is the last ledger position counted.
    """

    operator_id: str
    month: str
    lines: tuple[StatementLine, ...]
    total_count: int
    total_fee: int
    shares: tuple[Share, ...]
    last_sequence: int


class Posting(NamedTuple):
    """One side of a booking: ``debit`` or ``credit`` in micro-yuan, the other is 0."""

    account: str
    debit: int
    credit: int


def build_statement(
    operator_id: str, month: str, use: PeriodUse, sharing: SharingBook
) -> Statement:
    """Return the statement of ``use``, whatever its order and grouping.

    Use under one rule and key is shared as one sum, so that rounding does not add up
    over entries. Raises Refused STATE_CONFLICT when no rule was in force for some use.
    """
    counts = _counts(use.totals)
    lines = tuple(_line(key, counts[key], sharing) for key in sorted(counts))
    return Statement(
        operator_id,
        month,
        lines,
        sum(line.count for line in lines),
        sum(line.fee for line in lines),
        tuple(sorted(_summed(share_ for line in lines for share_ in line.shares))),
        use.last_sequence,
    )


def postings(statement: Statement) -> tuple[Posting, ...]:
    """Return how a statement is booked: debits and credits are equal (guarantee G6).

    The operator is debited the whole, each beneficiary credited its share; nothing is
    booked for nothing.
    """
    debit = Posting(f"operators/{statement.operator_id}", statement.total_fee, 0)
    credits_ = (Posting(beneficiary, 0, amount) for beneficiary, amount in statement.shares)
    return tuple(posting for posting in (debit, *credits_) if posting.debit or posting.credit)


def _counts(totals: Iterable[UsageTotal]) -> Mapping[LineKey, Mapping[int, int]]:
    """Return counts by key and start of the part of the period."""
    counts: dict[LineKey, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for total in totals:
        if total.count:
            key = LineKey(total.item, total.source, total.region, total.unit_price)
            counts[key][total.part_from] += total.count
    return counts


def _line(key: LineKey, counts: Mapping[int, int], sharing: SharingBook) -> StatementLine:
    shares = _summed(
        share_
        for part_from, count in counts.items()
        for share_ in share(
            count * key.unit_price, _rule(sharing, part_from), key.source, key.region
        )
    )
    count = sum(counts.values())
    return StatementLine(key, count, count * key.unit_price, shares)


def _rule(sharing: SharingBook, part_from: int) -> SharingRule:
    rule = sharing.rule_at(part_from)
    if rule is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "No sharing rule was in force for some use of the month: an administrator creates"
            f" one with effective_from {utc_text(part_from)} or earlier"
            " (SettlementService.CreateSharingRule).",
        )
    return rule


def _summed(shares: Iterable[Share]) -> tuple[Share, ...]:
    """Return one share for each beneficiary, in the order they first come."""
    amounts: dict[str, int] = {}
    for beneficiary, amount in shares:
        amounts[beneficiary] = amounts.get(beneficiary, 0) + amount
    return tuple(Share(beneficiary, amount) for beneficiary, amount in amounts.items())
