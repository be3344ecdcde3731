"""Changes within a month: what comes later never acts on what was used before."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from creditgate.rating.bill import Bill, BillLine, Charge
from creditgate.rating.components import (
    CAP,
    FLAT,
    FREE_TIER,
    GRADUATED,
    MINIMUM,
    PER_SUBJECT,
    VOLUME,
    PriceComponent,
    Tier,
)
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.rating import rate
from gateway.settle.explain import explained
from tests.examples import seeds
from tests.settle import drawn
from tests.settle.drawn import MONTH, Books
from tests.settle.month import Served
from tests.settle.strategies import plan_change

SEEDS = seeds(20)
_RUNS = 200
_TIERS = (Tier(from_records=0, unit_price=100), Tier(from_records=500, unit_price=10_001))


def _with(known: Books, *plans: PricePlan) -> Books:
    changes = [plan_change(50 + number, plan) for number, plan in enumerate(plans)]
    return Books(known.prices.advanced(changes), known.sharing, known.classes)


def _until(known: Books, at: int) -> Books:
    """Return the books without the plans that start at an instant or later."""
    early = [plan for plan in known.prices.plans.things if plan.effective_from < at]
    changes = [plan_change(number, plan) for number, plan in enumerate(early, 1)]
    return Books(PriceBook.empty().advanced(changes), known.sharing, known.classes)


def _rated(known: Books, facts: Sequence[Served]) -> Bill:
    return rate(known.cut(facts), known.prices, known.classes)


def _new(random: Random, number: int, at: int) -> PricePlan:
    """Draw a plan that says what no other says."""
    plan = drawn.plan(random, number, at)
    return plan.model_copy(update={"prices": {**plan.prices, f"only-{number}": 1}})


def _served_from(random: Random, known: Books, at: int) -> list[Served]:
    return [fact for fact in drawn.facts(random, known) if fact.at >= at]


def _but_names(charges: Sequence[Charge]) -> list[Charge]:
    return [replace(charge, plan_id="") for charge in charges]


def _before(bill: Bill, at: int) -> tuple[list[Charge], list[BillLine]]:
    """Return what a bill says of use and time before an instant, but for the month's minimum."""
    charges = [each for each in bill.charges if each.until <= at and each.kind != MINIMUM]
    lines = [
        replace(line, charge=0)
        for line in bill.lines
        if line.part_from < at and bill.charges[line.charge].kind != MINIMUM
    ]
    return charges, lines


@pytest.mark.parametrize("seed", SEEDS)
def test_use_before_a_plan_costs_the_same_whatever_plan_starts_and_whatever_is_used_later(
    seed: int,
) -> None:
    random = Random(seed)
    for _ in range(_RUNS):
        whole = drawn.books(random)
        at = random.randrange(1, MONTH)
        known = _until(whole, at)
        before = [fact for fact in drawn.facts(random, known) if fact.at < at]
        one = _with(known, _new(random, 50, at))
        other = _with(known, _new(random, 60, at), _new(random, 61, random.randrange(at, MONTH)))
        bills = [
            _rated(books, [*before, *_served_from(random, books, at)]) for books in (one, other)
        ]
        # Class changes at or after the instant came with the books of both.
        assert _before(bills[0], at) == _before(bills[1], at) == _before(_rated(one, before), at)


@pytest.mark.parametrize("seed", SEEDS)
def test_use_so_far_costs_what_it_did_before_the_next_plan_was_known(seed: int) -> None:
    """What is by time goes on with time: flat fees and minimum are left out."""
    random = Random(100 + seed)
    compared = 0
    for _ in range(_RUNS):
        whole = drawn.books(random)
        at = random.randrange(1, MONTH)
        known = _until(whole, at)
        untimed = [
            plan.model_copy(
                update={"components": tuple(c for c in plan.components if c.kind != FLAT)}
            )
            for plan in known.prices.plans.things
        ]
        known = _with(known, *untimed)
        before = [fact for fact in drawn.facts(random, known) if fact.at < at]
        changed = _with(known, _new(random, 60, at))
        facts = [*before, *_served_from(random, changed, at)]
        so_far = [each for each in _rated(known, before).charges if each.kind != MINIMUM]
        then, _ = _before(_rated(changed, facts), at)
        assert [(c.component, c.fee) for c in so_far] == [(c.component, c.fee) for c in then]
        compared += bool(so_far)
    assert compared > _RUNS // 2


@pytest.mark.parametrize("seed", SEEDS)
def test_plan_that_says_the_same_begins_no_term_whatever_it_is_called(seed: int) -> None:
    random = Random(200 + seed)
    for _ in range(_RUNS):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        at = random.randrange(1, MONTH)
        plan = known.prices.plan_at(at)
        assert plan is not None
        if at in {each.effective_from for each in known.prices.plans.things}:
            continue
        again = plan.model_copy(update={"plan_id": "again", "effective_from": at})
        same, bill = _rated(_with(known, again), facts), _rated(known, facts)
        assert _but_names(same.charges) == _but_names(bill.charges)
        assert same.total == bill.total


@pytest.mark.parametrize("seed", SEEDS)
def test_plan_that_changes_nothing_about_the_use_leaves_the_total_as_it_is(seed: int) -> None:
    """But for free tiers: which term's records are the free ones, a term decides."""
    random = Random(300 + seed)
    for _ in range(_RUNS):
        plan = drawn.plan(random, 0, 0)
        components = tuple(each for each in plan.components if each.kind != FREE_TIER)
        plan = plan.model_copy(update={"components": components})
        drawn_books = drawn.books(random)
        known = Books(
            PriceBook.empty().advanced([plan_change(1, plan)]),
            drawn_books.sharing,
            drawn_books.classes,
        )
        facts = drawn.facts(random, known)
        starts = sorted(random.sample(range(1, MONTH), 3))
        inert = [
            plan.model_copy(
                update={
                    "plan_id": f"i{start}",
                    "effective_from": start,
                    "prices": {**plan.prices, f"unused-{start}": 1},
                }
            )
            for start in starts
        ]
        assert _rated(_with(known, *inert), facts).total == _rated(known, facts).total


def _plan(number: int, at: int, *components: PriceComponent) -> PricePlan:
    prices = {"basic": 100, "extra": 100, f"unused-{number}": 1}
    return PricePlan(plan_id=f"p{number}", effective_from=at, prices=prices, components=components)


def _books(*plans: PricePlan, later_class: str = "") -> Books:
    changes = [drawn.item_change(1, item, "basic", 0) for item in drawn.ITEMS]
    changes.append(drawn.operator_change(2, "bank", 0))
    if later_class:
        changes.append(drawn.operator_change(3, later_class, MONTH // 2))
    return Books(
        PriceBook.empty().advanced([plan_change(n, plan) for n, plan in enumerate(plans, 1)]),
        drawn.books(Random(1)).sharing,
        drawn.books(Random(1)).classes.empty().advanced(changes),
    )


def _uses(count: int, at: int = 5, price: int = 100) -> list[Served]:
    return [
        Served(at, at * 1_000 + n, "xyz"[n % 3], "penalty", "mem", "11", 1, price)
        for n in range(count)
    ]


def test_free_tier_of_a_later_plan_has_left_what_was_not_free_before() -> None:
    free = PriceComponent(component_id="free", kind=FREE_TIER, records=1_000)
    for left, fee in ((1_000, 0), (700, 0), (200, 50_000)):
        known = _books(_plan(1, 0, free), _plan(2, 500, free))
        bill = _rated(known, [*_uses(1_000 - left), *_uses(700, at=600)])
        assert bill.total == fee
    more = free.model_copy(update={"records": 1_500})
    bill = _rated(
        _books(_plan(1, 0, free), _plan(2, 500, more)), [*_uses(1_000), *_uses(700, at=600)]
    )
    assert bill.total == 200 * 100
    assert "after 1000 records free before" in explained(bill.charges[-1].explanation, "en")


@pytest.mark.parametrize("later_class", ["", "public"])
@pytest.mark.parametrize("kind", [GRADUATED, VOLUME])
def test_tiers_go_on_from_the_records_used_and_never_price_them_anew(
    kind: int, later_class: str
) -> None:
    rising = PriceComponent.model_validate(
        {"component_id": "tiers", "kind": kind, "tiers": [t.model_dump() for t in _TIERS]}
    )
    known = _books(_plan(1, 0, rising), _plan(2, 500, rising), later_class=later_class)
    assert _rated(known, _uses(499)).total == 499 * 100
    one = _rated(_books(_plan(1, 0, rising)), [*_uses(499), *_uses(3, at=600)])
    two = _rated(known, [*_uses(499), *_uses(3, at=600)])
    assert one.total == two.total == (502 * 10_001 if kind == VOLUME else 500 * 100 + 2 * 10_001)


def test_a_subject_is_charged_once_a_month_whatever_plan_or_class_comes() -> None:
    monitored = PriceComponent(component_id="mon", kind=PER_SUBJECT, unit_price=80_000)
    plans = [_plan(n, n * 50, monitored) for n in range(19)]
    daily = [fact for n in range(19) for fact in _uses(3, at=n * 50 + 1, price=0)]
    for later_class in ("", "public"):
        assert _rated(_books(*plans, later_class=later_class), daily).total == 3 * 80_000
    dearer = monitored.model_copy(update={"unit_price": 90_000})
    known = _books(_plan(1, 0, monitored), _plan(2, 500, dearer))
    fresh = Served(700, 9, "w", "penalty", "mem", "11", 1, 0)
    bill = _rated(known, [*_uses(3, price=0), *_uses(3, at=600, price=0), fresh])
    assert [charge.fee for charge in bill.charges] == [3 * 80_000, 90_000]
    # Who paid by the record until now has paid for no subject yet.
    known = _books(_plan(1, 0), _plan(2, 500, monitored))
    assert _rated(known, [*_uses(3), *_uses(3, at=600, price=0)]).total == 300 + 3 * 80_000


def test_cap_of_a_later_plan_allows_what_is_left_of_it_and_takes_nothing_back() -> None:
    def capped(first: int, second: int) -> int:
        plans = [
            _plan(n, at, PriceComponent(component_id="cap", kind=CAP, amount=amount))
            for n, at, amount in ((1, 0, first), (2, 500, second))
        ]
        return _rated(_books(*plans), [*_uses(10), *_uses(10, at=600)]).total

    assert capped(10_000, 10_000) == 2_000
    assert capped(700, 1_500) == 1_500
    assert capped(700, 700) == 700
    assert capped(10_000, 300) == 1_000


def test_flat_fee_and_minimum_go_by_the_time_each_plan_is_in_force() -> None:
    def timed(kind: int, *used: Served) -> int:
        plans = [
            _plan(
                n,
                at,
                PriceComponent.model_validate(
                    {"component_id": "t", "kind": kind, "amount": amount}
                ),
            )
            for n, at, amount in ((1, 0, 1_000), (2, 250, 2_000))
        ]
        return _rated(_books(*plans), used).total

    assert timed(FLAT) == timed(MINIMUM) == 250 + 1_500
    assert timed(FLAT, *_uses(10)) == 1_750 + 1_000
    # The minimum is of the month: much use in one part of it makes up for little in another.
    assert timed(MINIMUM, *_uses(10)) == 1_750
    assert timed(MINIMUM, *_uses(18)) == 1_800
