"""The journal: what is booked balances, or is not booked."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.v1.usage_service_pb2 import CreditNote, RevenueShare, Statement
from gateway.settlement.journal import closing_entries, credit_entry

NAMES = ("operators/alpha", "platform", "regions/11", "sources/mem", "sources/tax")


def _shares(parts: Sequence[int]) -> list[RevenueShare]:
    return [
        RevenueShare(beneficiary=name, amount_micro_yuan=part)
        for name, part in zip(NAMES, parts, strict=True)
    ]


@given(st.lists(st.integers(-(10**12), 10**12), min_size=len(NAMES), max_size=len(NAMES)))
def test_debits_are_credits_whatever_the_signs(parts: list[int]) -> None:
    statement = Statement(
        operator_id="alpha", month="2026-03", total_micro_yuan=sum(parts), shares=_shares(parts)
    )
    note = CreditNote(operator_id="alpha", amount_micro_yuan=sum(parts), shares=_shares(parts))
    (entry,) = closing_entries(statement)
    for booked in (entry, credit_entry(note)):
        debits = sum(posting.debit for posting in booked.postings)
        assert debits == sum(posting.credit for posting in booked.postings)
        assert all(min(posting.debit, posting.credit) == 0 for posting in booked.postings)
        assert all(max(posting.debit, posting.credit) > 0 for posting in booked.postings)
        accounts = [posting.account for posting in booked.postings]
        assert len(set(accounts)) == len(accounts)
    owed = {posting.account: posting.debit - posting.credit for posting in entry.postings}
    assert owed.get("operators/alpha", 0) == sum(parts)
    assert -owed.get("operators/alpha/rebates", 0) == parts[0]


def test_shares_that_are_not_the_amount_are_never_booked() -> None:
    statement = Statement(operator_id="alpha", total_micro_yuan=4, shares=_shares((0, 1, 1, 1, 0)))
    with pytest.raises(ValueError, match="sum"):
        list(closing_entries(statement))
