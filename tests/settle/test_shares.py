"""Guarantee G6: shares sum to fees to the micro-yuan, whatever fee and rule."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from creditgate.rating.division import divide
from gateway.settle.shares import WHOLE, SharingRule
from tests.examples import examples
from tests.settle.strategies import FEES, rules

_PARTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any)


@settings(max_examples=examples(2_000))
@given(FEES, rules())
def test_shares_sum_to_the_fee_exactly(fee: int, rule: SharingRule) -> None:
    shares = divide(fee, rule.parts)
    assert sum(shares) == fee
    for amount, part in zip(shares, rule.parts, strict=True):
        assert abs(amount - Fraction(fee * part, WHOLE)) < 1


@settings(max_examples=examples(1_000))
@given(FEES, _PARTS)
def test_division_by_any_parts_is_exact_and_by_largest_remainder(
    amount: int, parts: Sequence[int]
) -> None:
    amounts = divide(amount, parts)
    assert sum(amounts) == amount
    exact = [Fraction(amount * part, sum(parts)) for part in parts]
    gained = [(quota % 1, -index) for index, quota in enumerate(exact) if amounts[index] > quota]
    missed = [
        (quota % 1, -index)
        for index, quota in enumerate(exact)
        if amounts[index] < quota or quota.denominator == 1
    ]
    assert all(abs(got - quota) < 1 for got, quota in zip(amounts, exact, strict=True))
    assert not gained or not missed or min(gained) > max(missed)


@pytest.mark.parametrize(
    ("parts", "amounts"),
    [
        ((5_000, 5_000, 0), (1, 0, 0)),
        ((0, 5_000, 5_000), (0, 1, 0)),
        ((3_333, 3_333, 3_334), (0, 0, 1)),
        ((5_000, 0, 5_000), (1, 0, 0)),
    ],
)
def test_odd_micro_yuan_goes_by_remainder_then_source_region_platform(
    parts: tuple[int, int, int], amounts: tuple[int, int, int]
) -> None:
    assert divide(1, parts) == amounts


def test_rule_whose_parts_are_not_the_whole_cannot_exist() -> None:
    document = {
        "rule_id": "r",
        "effective_from": 0,
        "source_basis_points": 5_000,
        "region_basis_points": 3_000,
        "platform_basis_points": 1_999,
    }
    with pytest.raises(ValidationError):
        SharingRule.model_validate(document)
