"""Shared bills: who gets what of a bill (`creditgate.rating.bill`), each line explained.

Money is integer micro-yuan.
"""

from dataclasses import dataclass

from creditgate.rating.bill import Bill, Explanation
from gateway.settle.shares import Share


@dataclass(frozen=True, slots=True)
class SharedLine:
    """What one rule makes of the fees of one item, source and region; ``shares`` sum to ``fee``.

    What is pooled stands as the share of "pools/{rule_id}".
    """

    rule_id: str
    item: str
    source: str
    region: str
    fee: int
    shares: tuple[Share, ...]
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class PoolShare:
    """What a source gets of a pool: ``weight`` of the pool's whole weight."""

    beneficiary: str
    weight: int
    amount: int
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Pool:
    """The sources' part of all fees under one rule, divided among them.

    ``division`` is the SourceDivision it was divided by; ``shares`` sum to ``amount``.
    """

    rule_id: str
    division: int
    amount: int
    shares: tuple[PoolShare, ...]
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class SharedBill:
    """A bill and who gets what of it.

    ``lines`` sum to the bill's total; ``shares``, in order of beneficiary and without
    pools, sum to it too (guarantee G6). ``rule_ids`` are the sharing rules it rests on, by
    start.
    """

    bill: Bill
    lines: tuple[SharedLine, ...]
    pools: tuple[Pool, ...]
    shares: tuple[Share, ...]
    rule_ids: tuple[str, ...]
