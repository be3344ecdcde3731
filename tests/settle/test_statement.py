"""Guarantee G6 over whole statements: lines, shares and bookings add up exactly."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.settle.shares import SharingBook, SharingRule
from gateway.settle.statement import build_statement, postings
from gateway.settle.usage import PeriodUse, UsageTotal
from tests.settle.strategies import rule_change, sharing_books, totals


@settings(max_examples=500)
@given(totals(), sharing_books())
def test_statement_sums_are_exact(used: list[UsageTotal], sharing: SharingBook) -> None:
    statement = build_statement("op", "2026-01", PeriodUse(9, tuple(used)), sharing)
    fee = sum(total.count * total.unit_price for total in used)
    assert statement.total_fee == fee
    assert statement.total_count == sum(total.count for total in used)
    assert sum(line.fee for line in statement.lines) == fee
    assert sum(amount for _, amount in statement.shares) == fee
    assert [line.key for line in statement.lines] == sorted({line.key for line in statement.lines})
    assert list(statement.shares) == sorted(statement.shares)
    for line in statement.lines:
        assert line.count > 0
        assert line.fee == line.count * line.key.unit_price
        assert sum(amount for _, amount in line.shares) == line.fee
    for beneficiary, amount in statement.shares:
        assert amount == sum(
            part for line in statement.lines for who, part in line.shares if who == beneficiary
        )


@settings(max_examples=400)
@given(totals(), sharing_books())
def test_every_booking_balances(used: list[UsageTotal], sharing: SharingBook) -> None:
    statement = build_statement("op", "2026-01", PeriodUse(9, tuple(used)), sharing)
    booked = postings(statement)
    assert sum(posting.debit for posting in booked) == sum(posting.credit for posting in booked)
    assert sum(posting.debit for posting in booked) == statement.total_fee
    assert all((posting.debit > 0) != (posting.credit > 0) for posting in booked)
    assert [p.account for p in booked if p.debit] in ([], ["operators/op"])


@settings(max_examples=400)
@given(totals(), sharing_books(), st.randoms(use_true_random=False))
def test_order_and_grouping_of_use_do_not_matter(
    used: list[UsageTotal], sharing: SharingBook, random: Random
) -> None:
    regrouped = [
        UsageTotal(t.part_from, t.item, t.source, t.region, t.unit_price, count)
        for t in used
        for count in (t.count // 3, t.count - t.count // 3)
    ]
    random.shuffle(regrouped)
    one, other = (
        build_statement("op", "2026-01", PeriodUse(9, tuple(some)), sharing)
        for some in (used, regrouped)
    )
    assert one == other


def _rule(rule_id: str, effective_from: int, source: int, platform: int) -> SharingRule:
    return SharingRule(
        rule_id=rule_id,
        effective_from=effective_from,
        source_basis_points=source,
        region_basis_points=0,
        platform_basis_points=platform,
    )


def _book(*rules: SharingRule) -> SharingBook:
    return SharingBook.empty().advanced([rule_change(i + 1, rule) for i, rule in enumerate(rules)])


def test_use_is_shared_under_the_rule_of_its_part_of_the_month() -> None:
    sharing = _book(_rule("old", 0, 10_000, 0), _rule("new", 50, 0, 10_000))
    used = (UsageTotal(0, "i", "s", "11", 3, 4), UsageTotal(50, "i", "s", "11", 3, 1))
    (line,) = build_statement("op", "2026-01", PeriodUse(2, used), sharing).lines
    assert (line.count, line.fee) == (5, 15)
    assert line.shares == (("sources/s", 12), ("regions/11", 0), ("platform", 3))


def test_period_falls_into_parts_where_rules_start_within_it() -> None:
    sharing = _book(_rule("a", 10, 0, 10_000), _rule("b", 20, 0, 10_000), _rule("c", 30, 0, 10_000))
    assert sharing.starts(10, 30) == (10, 20)
    assert sharing.starts(0, 10) == (0,)
    assert sharing.starts(15, 31) == (15, 20, 30)


def test_use_without_a_sharing_rule_makes_no_statement_and_names_the_mend() -> None:
    used = (UsageTotal(86_400, "i", "s", "11", 3, 4),)
    with pytest.raises(Refused, match=r"CreateSharingRule") as refusal:
        build_statement(
            "op", "1970-01", PeriodUse(1, used), _book(_rule("late", 86_401, 0, 10_000))
        )
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT
    assert "1970-01-02T00:00:00Z or earlier" in refusal.value.message
