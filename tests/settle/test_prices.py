"""Of the plans in force at the instant of serving, the latest to start decides."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from creditgate.rating.components import Priced
from creditgate.rating.prices import PRICE_PLAN, PriceBook, PricePlan
from operators.log import Change
from tests.examples import examples
from tests.settle.strategies import plan_change, plans


def _naive_price(known: Sequence[PricePlan], price_class: str, at: int) -> int | None:
    in_force = [plan for plan in known if plan.effective_from <= at]
    if not in_force:
        return None
    deciding = max(in_force, key=lambda plan: (plan.effective_from, plan.plan_id))
    return deciding.prices.get(price_class)


@settings(max_examples=examples(400))
@given(st.lists(plans(), max_size=6, unique_by=lambda plan: plan.id), st.integers(0, 6))
def test_price_is_that_of_the_latest_plan_in_force(known: list[PricePlan], cut: int) -> None:
    changes = [plan_change(index + 1, plan) for index, plan in enumerate(known)]
    book = PriceBook.empty().advanced(changes[:cut]).advanced(changes[cut:])
    for at in range(42):
        for price_class in "abcd":
            assert _price(book, price_class, at) == _naive_price(known, price_class, at)


def _price(book: PriceBook, price_class: str, at: int) -> int | None:
    plan = book.plan_at(at)
    return None if plan is None else plan.list_price(Priced("item", price_class, 1, ""))


def _plan(plan_id: str, effective_from: int, **prices: int) -> PricePlan:
    return PricePlan(plan_id=plan_id, effective_from=effective_from, prices=prices)


def _book(*known: PricePlan) -> PriceBook:
    return PriceBook.empty().advanced([plan_change(i + 1, plan) for i, plan in enumerate(known)])


def test_class_left_out_of_the_deciding_plan_has_no_price() -> None:
    book = _book(_plan("old", 0, basic=5, extra=9), _plan("new", 10, basic=6))
    assert _price(book, "extra", 9) == 9
    assert _price(book, "extra", 10) is None


def test_nothing_has_a_price_before_the_first_plan() -> None:
    assert _book(_plan("first", 10, basic=5)).plan_at(9) is None


def test_same_plan_comes_back_as_long_as_the_same_plan_decides() -> None:
    book = _book(_plan("one", 0, basic=5), _plan("two", 10, basic=5))
    assert book.plan_at(0) is book.plan_at(9)
    assert book.plan_at(9) is not book.plan_at(10)
    later = book.advanced([plan_change(3, _plan("three", 20, basic=5))])
    assert later.plan_at(9) is book.plan_at(0)


def test_later_version_takes_the_place_of_the_earlier() -> None:
    book = _book(_plan("one", 0, basic=5))
    later = book.advanced([plan_change(2, _plan("one", 10, basic=6))])
    assert (_price(later, "basic", 9), _price(later, "basic", 10)) == (None, 6)


def test_changes_of_other_kinds_leave_the_book_as_it_is() -> None:
    book = _book(_plan("one", 0, basic=5))
    assert book.advanced([Change(2, "operator", "one", 1, {}, "admin", 0, "test")]) is book


@pytest.mark.parametrize(
    "document",
    [
        {"plan_id": "p", "effective_from": 0, "prices": {"basic": -1}},
        {"plan_id": "p", "effective_from": 0, "prices": {"basic": 1.5}},
        {"plan_id": "p", "effective_from": 0, "prices": {"basic": 1}, "discount": 1},
    ],
)
def test_plan_that_is_not_understood_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PriceBook.empty().advanced([Change(1, PRICE_PLAN, "p", 1, document, "admin", 0, "test")])
