"""Amounts by name, added up: shares of several documents together, and what differs. Pure."""

from collections import Counter
from collections.abc import Iterable

from creditgate.v1.usage_service_pb2 import RevenueShare


def by_beneficiary(shares: Iterable[RevenueShare], sign: int = 1) -> Counter[str]:
    """Return the sum of ``sign`` times each beneficiary's shares, micro-yuan."""
    amounts: Counter[str] = Counter()
    for share in shares:
        amounts[share.beneficiary] += sign * share.amount_micro_yuan
    return amounts


def share_messages(amounts: Counter[str]) -> list[RevenueShare]:
    """Return amounts as shares, in order of beneficiary; nothing is said of nothing."""
    return [
        RevenueShare(beneficiary=name, amount_micro_yuan=amounts[name])
        for name in sorted(amounts)
        if amounts[name]
    ]
