"""Amounts are told exactly."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pages.money import yuan


@given(st.integers(-(10**18), 10**18))
def test_an_amount_in_yuan_is_the_micro_yuan_it_came_from(amount: int) -> None:
    told = re.sub("[^0-9.-]", "", yuan(amount, "en"))
    assert Decimal(told) * 1_000_000 == amount


@pytest.mark.parametrize(
    ("amount", "told"),
    [(0, "0.00 元"), (1, "0.000001 元"), (1_234_500_000, "1,234.50 元"), (-50_000, "-0.05 元")],
)
def test_an_amount_has_at_least_two_decimals(amount: int, told: str) -> None:
    assert yuan(amount, "zh") == told
