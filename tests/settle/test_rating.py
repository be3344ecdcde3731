"""Guarantee G6 over whole bills: whatever plans, rules and use, every sum is exact."""

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

import pytest

from creditgate.rating.components import CAP, FREE_TIER, MINIMUM
from creditgate.rating.rating import rate
from creditgate.rating.terms import terms
from gateway.settle.bill import SharedBill
from gateway.settle.explain import KEYS, explained
from gateway.settle.sharing import share_bill
from gateway.settle.use import Owed
from tests.examples import seeds
from tests.settle import drawn
from tests.settle.drawn import Books
from tests.settle.month import Served
from tests.settle.plain_rating import plain_total
from tests.settle.strategies import plan_change, rule_change

_RUNS = 500
SEEDS = seeds(20)
FEW_AND_MANY = pytest.mark.parametrize("runs", [300, pytest.param(1_500, marks=pytest.mark.soak)])


def _shared(known: Books, facts: list[Served]) -> SharedBill:
    use = known.cut(facts)
    return share_bill(rate(use, known.prices, known.classes), use, known.sharing)


def _assert_exact(shared: SharedBill) -> None:
    bill = shared.bill
    assert bill.total >= 0
    assert sum(charge.fee for charge in bill.charges) == bill.total
    by_charge: Counter[int] = Counter()
    by_cell: dict[tuple[int, str, str, str], int] = defaultdict(int)
    for line in bill.lines:
        by_charge[line.charge] += line.fee
        by_cell[line.part_from, line.item, line.source, line.region] += line.fee
    for index, charge in enumerate(bill.charges):
        assert by_charge[index] == charge.fee
        assert not charge.steps or sum(step.fee for step in charge.steps) == charge.fee
    assert min(by_cell.values(), default=0) >= 0
    assert sum(line.fee for line in shared.lines) == bill.total
    for line in shared.lines:
        assert sum(amount for _, amount in line.shares) == line.fee
    for pool in shared.pools:
        assert sum(share.amount for share in pool.shares) == pool.amount
    assert sum(amount for _, amount in shared.shares) == bill.total
    assert all(amount > 0 for _, amount in shared.shares)
    assert not any(name.startswith("pools/") for name, _ in shared.shares)
    assert list(shared.shares) == sorted(shared.shares)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_of_lines_charges_shares_and_total_agree_for_any_plans_rules_and_use(
    seed: int,
) -> None:
    random = Random(seed)
    kinds: set[int] = set()
    divisions: set[int] = set()
    for _ in range(_RUNS):
        known = drawn.books(random)
        shared = _shared(known, drawn.facts(random, known))
        _assert_exact(shared)
        kinds.update(charge.kind for charge in shared.bill.charges)
        divisions.update(pool.division for pool in shared.pools)
    # What was drawn reached everything there is.
    assert kinds == set(range(1, 9))
    assert divisions == {2, 3}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bill_is_what_a_plain_reckoning_in_fractions_gives(seed: int) -> None:
    random = Random(1_000 + seed)
    for _ in range(30):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        use = known.cut(facts)
        bill = rate(use, known.prices, known.classes)
        # A credit is rounded once, and what is left of a divided amount moves within it.
        tolerance = len(bill.lines) + len(bill.charges)
        assert abs(bill.total - plain_total(known, facts)) <= tolerance


def test_neither_order_nor_grouping_of_use_matters() -> None:
    random = Random(7)
    for _ in range(300):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        shuffled = random.sample(facts, len(facts))
        assert _but_places(_shared(known, facts)) == _but_places(_shared(known, shuffled))


def _but_places(shared: SharedBill) -> SharedBill:
    """Return what is shared without where its use stands among the parts."""
    cells = tuple(cell._replace(indexes=()) for cell in shared.bill.cells)
    return replace(shared, bill=replace(shared.bill, cells=cells))


@FEW_AND_MANY
def test_more_use_never_costs_less(runs: int) -> None:
    random = Random(8)
    compared = 0
    for _ in range(runs):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        # More use under one plan may reach a tier of the next at a cheaper price.
        *_, last = terms("alpha", 0, drawn.MONTH, known.prices, known.classes)
        late = [fact for fact in facts if fact.at >= last.from_]
        if not late or _mixes_credits(known):
            continue
        # Of the same price, or another record of the price list would come cheaper.
        more = [*facts, random.choice(late)]
        less, greater = (
            rate(known.cut(some), known.prices, known.classes).total for some in (facts, more)
        )
        assert less <= greater
        compared += 1
    assert compared > runs // 3


def _mixes_credits(known: Books) -> bool:
    """Tell whether free tiers depend on how other amounts were rounded when they were divided."""
    for plan in known.prices.plans.things:
        free = [each for each in plan.components if each.kind == FREE_TIER]
        if len(free) > 1 or any(each.items or each.price_classes or each.purposes for each in free):
            return True
    return False


@FEW_AND_MANY
def test_minimum_holds_for_the_month_and_cap_for_all_of_it_up_to_each_term(runs: int) -> None:
    random = Random(9)
    bound = raised = 0
    for _ in range(runs):
        known = drawn.books(random)
        bill = rate(known.cut(drawn.facts(random, known)), known.prices, known.classes)
        so_far = least = 0
        for term in terms("alpha", 0, drawn.MONTH, known.prices, known.classes):
            assert term.plan is not None
            before = so_far
            so_far += sum(
                charge.fee
                for charge in bill.charges
                if charge.from_ == term.from_ and charge.kind != MINIMUM
            )
            applying = [
                each for each in term.plan.components if each.for_class(term.operator_class)
            ]
            for component in applying:
                if component.kind == CAP:
                    assert so_far <= max(component.amount, before)
                    bound += so_far == component.amount
            if term.stands:
                minima = [each.amount for each in applying if each.kind == MINIMUM]
                least += max(map(term.of_time, minima), default=0)
        assert bill.total == max(so_far, least)
        raised += least > so_far
    assert min(bound, raised) > runs // 75


def test_what_is_put_into_force_later_changes_nothing_of_a_month_before() -> None:
    random = Random(10)
    for _ in range(300):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        later = Books(
            known.prices.advanced([plan_change(90, drawn.plan(random, 90, drawn.MONTH))]),
            known.sharing.advanced([rule_change(91, drawn.rule(random, 91, drawn.MONTH))]),
            known.classes.advanced(
                [
                    drawn.item_change(92, "penalty", "extra", drawn.MONTH),
                    drawn.operator_change(93, "public", drawn.MONTH),
                ]
            ),
        )
        assert _shared(later, facts) == _shared(known, facts)


def test_every_line_explains_itself_in_both_languages() -> None:
    random = Random(11)
    used: set[str] = set()
    for _ in range(600):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        use = known.cut(facts)
        owed = [
            Owed(
                use.cut_of(fact.at),
                fact.item,
                fact.source,
                fact.region,
                "https://n",
                1,
                fact.answer,
            )
            for fact in facts
            if fact.answer % 5 == 0
        ]
        bill = rate(use, known.prices, known.classes)
        shared = share_bill(bill, use, known.sharing, owed)
        explanations = [
            *(charge.explanation for charge in shared.bill.charges),
            *(line.explanation for line in shared.bill.lines),
            *(line.explanation for line in shared.lines),
            *(pool.explanation for pool in shared.pools),
            *(share.explanation for pool in shared.pools for share in pool.shares),
        ]
        for explanation in explanations:
            used.add(explanation.key)
            for text in (explained(explanation, "zh"), explained(explanation, "en")):
                assert "{" not in text
    assert used == KEYS - {"pool_by_contribution_sampled"}
