"""Who gets what of a bill: own parts, pools by use and by contribution, rebates, the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest

from creditgate.rating.bill import RatedCell
from creditgate.rating.components import FLAT, FREE_TIER, GRADUATED, PER_SUBJECT, PriceComponent
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.rating import rate
from creditgate.rating.settled import by_beneficiary, share_messages
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.settlement_service_pb2 import SourceDivision
from gateway.settle.bill import SharedBill
from gateway.settle.classes import ClassBook
from gateway.settle.contribution import contribution
from gateway.settle.explain import explained
from gateway.settle.shares import BY_CONTRIBUTION, BY_USE, OWN, SharingBook, SharingRule
from gateway.settle.sharing import share_bill
from gateway.settle.use import Combination, Owed, Supply
from gateway.settlement.cleared import ClearedThrough, settled_clearings, with_clearings
from tests.settle import drawn
from tests.settle.drawn import MONTH, Books, item_change, operator_change
from tests.settle.month import PlainMonth, Served
from tests.settle.strategies import plan_change, rule_change


def _rule(
    division: SourceDivision.ValueType = OWN, start: int = 0, name: str = "r", **changed: object
) -> SharingRule:
    document = {
        "rule_id": name,
        "effective_from": start,
        "source_basis_points": 6_000,
        "region_basis_points": 2_000,
        "platform_basis_points": 1_000,
        "operator_basis_points": 1_000,
        "source_division": division,
    }
    return SharingRule.model_validate(document | changed)


def _tier(from_records: int, unit_price: int) -> dict[str, int]:
    return {"from_records": from_records, "unit_price": unit_price}


def _books(
    *rules: SharingRule,
    operator_class: str = "",
    flat: int = 0,
    components: tuple[PriceComponent, ...] = (),
) -> Books:
    if flat:
        components = (PriceComponent(component_id="flat", kind=FLAT, amount=flat),)
    plan = PricePlan(
        plan_id="p", effective_from=0, prices={"basic": 100, "extra": 300}, components=components
    )
    return Books(
        PriceBook.empty().advanced([plan_change(1, plan)]),
        SharingBook.empty().advanced([rule_change(n, rule) for n, rule in enumerate(rules, 1)]),
        ClassBook.empty().advanced(
            [
                item_change(1, "penalty", "basic", 0),
                item_change(2, "rating", "extra", 0),
                operator_change(3, operator_class, 0),
            ]
        ),
    )


def _served(source: str, *, item: str = "penalty", answer: int = 0, at: int = 5) -> Served:
    price = 100 if item == "penalty" else 300
    return Served(at, answer, "subject", item, source, "11", 1, price)


def _shares(known: Books, *facts: Served) -> tuple[SharedBill, dict[str, int]]:
    use = known.cut(facts)
    shared = share_bill(rate(use, known.prices, known.classes), use, known.sharing)
    return shared, dict(shared.shares)


def test_own_division_leaves_each_source_the_part_of_its_own_fees() -> None:
    _, shares = _shares(_books(_rule()), _served("mem"), _served("tax", item="rating"))
    assert shares == {
        "sources/mem": 60,
        "sources/tax": 180,
        "regions/11": 80,
        "platform": 40,
        "operators/alpha": 40,
    }


def test_division_by_use_goes_by_records_whatever_they_cost() -> None:
    shared, shares = _shares(_books(_rule(BY_USE)), _served("mem"), _served("tax", item="rating"))
    assert (shares["sources/mem"], shares["sources/tax"]) == (120, 120)
    (pool,) = shared.pools
    assert (pool.amount, pool.division) == (240, BY_USE)
    assert explained(pool.shares[0].explanation, "zh") == "2 条中 1 条：0.00024 元中的 0.00012 元"


def test_division_by_contribution_favours_who_is_needed_over_who_repeats_another() -> None:
    # Both mem and tax give the penalty, samr alone the rating; all in one answer.
    facts = (_served("mem"), _served("tax"), _served("samr", item="rating"))
    _, shares = _shares(_books(_rule(BY_CONTRIBUTION)), *facts)
    # Of a worth of 500: 100 each to mem and tax, 300 to samr.
    assert [shares[f"sources/{name}"] for name in ("mem", "tax", "samr")] == [60, 60, 180]
    complete = _rule(BY_CONTRIBUTION, completeness_basis_points=10_000)
    _, shares = _shares(_books(complete), *facts)
    # Only an answer with both items is worth anything: two thirds hang on samr.
    assert [shares[f"sources/{name}"] for name in ("mem", "tax", "samr")] == [50, 50, 200]


def test_answers_about_different_subjects_are_different_games() -> None:
    facts = (_served("mem"), _served("tax", answer=1))
    shared, shares = _shares(
        _books(_rule(BY_CONTRIBUTION, completeness_basis_points=10_000)), *facts
    )
    assert (shares["sources/mem"], shares["sources/tax"]) == (60, 60)
    assert "exact" in explained(shared.pools[0].explanation, "en")


def test_many_sources_are_sampled_with_the_bound_told_and_the_same_in_every_run() -> None:
    supplies = tuple(Supply("penalty", f"s{number:02}", number, 1) for number in range(12))
    cells = [RatedCell((number,), 1, 100) for number in range(12)]
    rule = _rule(BY_CONTRIBUTION)
    found = contribution(rule, [Combination(0, supplies, 1)], cells, 0)
    assert found == contribution(rule, [Combination(0, supplies, 1)], cells, 0)
    # (ln(2 x 12 x 1,000) / (2 x 40,320)) ** 0.5 = 0.011183...
    assert found.bound_per_million == 11_184
    assert found.sampled_per_million == 1_000_000
    other = contribution(rule, [Combination(0, supplies, 1)], cells, MONTH)
    assert found.weights != other.weights


def test_answers_that_nothing_but_a_flat_fee_is_charged_for_are_worth_their_records() -> None:
    facts = (_served("mem"), _served("tax"), _served("samr", item="rating"))
    free = [fact._replace(unit_price=0) for fact in facts]
    shared, shares = _shares(_books(_rule(BY_CONTRIBUTION), flat=900), *free)
    # Two records of one item from two sources, one of another from a third.
    assert [shares[f"sources/{name}"] for name in ("mem", "tax", "samr")] == [180, 180, 180]
    once = _served("tax", item="rating", answer=1)._replace(unit_price=0)
    shared, shares = _shares(_books(_rule(BY_CONTRIBUTION), flat=900), *free, once)
    assert [shares[f"sources/{name}"] for name in ("mem", "tax", "samr")] == [135, 270, 135]
    complete = _rule(BY_CONTRIBUTION, completeness_basis_points=10_000)
    shared, shares = _shares(_books(complete, flat=900), *free)
    assert [shares[f"sources/{name}"] for name in ("mem", "tax", "samr")] == [90, 90, 360]
    assert shared.bill.total == 900


@pytest.mark.parametrize(
    "priced",
    [
        {"kind": PER_SUBJECT, "unit_price": 1_000},
        {"kind": GRADUATED, "tiers": [_tier(0, 0), _tier(3, 1_000)]},
    ],
)
def test_source_whose_records_cost_nothing_at_serving_gets_its_part_of_what_they_cost(
    priced: dict[str, object],
) -> None:
    charged = PriceComponent.model_validate({"component_id": "c", "items": ["rating"], **priced})
    known = _books(_rule(BY_CONTRIBUTION), components=(charged,))
    cheap = _served("mem", answer=99)
    monitored = [
        _served("tax", item="rating", answer=n)._replace(unit_price=0, subject=f"s-{n}")
        for n in range(10)
    ]
    shared, shares = _shares(known, cheap, *monitored)
    fee = shared.bill.total - 100
    assert fee == (10_000 if charged.kind == PER_SUBJECT else 7_000)
    assert (shares["sources/mem"], shares["sources/tax"]) == (60, fee * 6 // 10)


def test_answers_are_worth_what_is_charged_after_credits_to_the_last_fraction() -> None:
    free = PriceComponent(component_id="f", kind=FREE_TIER, records=1, items=frozenset({"rating"}))
    known = _books(_rule(BY_CONTRIBUTION), components=(free,))
    # Of three ratings at 300 one is free: two answers have a third of 600 each and a penalty.
    facts = [
        fact
        for n in range(3)
        for fact in (_served("mem", answer=n), _served("tax", item="rating", answer=n))
    ]
    shared, shares = _shares(known, *facts)
    assert shared.bill.total == 900
    assert (shares["sources/mem"], shares["sources/tax"]) == (180, 360)
    (pool,) = shared.pools
    assert explained(pool.shares[0].explanation, "en") == (
        "contribution of 33.3333% (rounded): 0.00018 of 0.00054 yuan"
    )


def test_worths_are_fractions_that_nothing_is_rounded_of() -> None:
    cells = [RatedCell((0, 2), 3, 1), RatedCell((1,), 7, 2)]
    combinations = [
        Combination(0, (Supply("a", "mem", 0, 1), Supply("b", "tax", 1, 7)), 1),
        Combination(0, (Supply("a", "mem", 0, 1), Supply("a", "samr", 2, 1)), 1),
    ]
    weights = contribution(_rule(BY_CONTRIBUTION), combinations, cells, 0).weights
    # A third, and half of two thirds; two; half of two thirds.
    assert weights["mem"] == 2 * weights["samr"] > 0
    assert weights["tax"] == 6 * weights["samr"]


@pytest.mark.parametrize("division", [BY_USE, BY_CONTRIBUTION])
def test_each_pool_is_divided_by_what_was_used_under_its_rule_alone(
    division: SourceDivision.ValueType,
) -> None:
    rules = _rule(division), _rule(division, start=500, name="later")
    shared, _ = _shares(_books(*rules), _served("mem"), _served("tax", answer=1, at=500))
    assert [
        (pool.rule_id, [(share.beneficiary, share.amount) for share in pool.shares])
        for pool in shared.pools
    ] == [("r", [("sources/mem", 60)]), ("later", [("sources/tax", 60)])]


def test_pool_without_any_worth_known_is_divided_by_use() -> None:
    @dataclass(frozen=True)
    class Uncombined(PlainMonth):
        def combinations(self) -> Sequence[Combination]:
            return ()

    known = _books(_rule(BY_CONTRIBUTION))
    use = known.cut([_served("mem"), _served("mem"), _served("tax")])
    use = Uncombined(use.facts, use.starts, use.until, use.price_class_of)
    shared = share_bill(rate(use, known.prices, known.classes), use, known.sharing)
    assert dict(shared.shares)["sources/mem"] == 120


def test_rebate_goes_to_the_classes_named_and_to_the_platform_for_others() -> None:
    rule = _rule(rebate_operator_classes=["bank"])
    _, given_back = _shares(_books(rule, operator_class="bank"), _served("mem"))
    _, kept = _shares(_books(rule, operator_class="public"), _served("mem"))
    assert (given_back["operators/alpha"], given_back["platform"]) == (10, 10)
    assert "operators/alpha" not in kept
    assert kept["platform"] == 20


def test_fee_that_belongs_to_no_use_has_no_source_and_no_region() -> None:
    shared, shares = _shares(_books(_rule(BY_USE), flat=1_000))
    assert shares == {"platform": 900, "operators/alpha": 100}
    assert not shared.pools


def test_each_rule_shares_the_use_from_its_start_on() -> None:
    later = _rule(start=500, name="later", source_basis_points=0, platform_basis_points=7_000)
    shared, shares = _shares(_books(_rule(), later), _served("mem"), _served("mem", at=500))
    assert shares["sources/mem"] == 60
    assert shares["platform"] == 10 + 70
    assert shared.rule_ids == ("r", "later")


def test_use_before_the_first_rule_is_refused_with_the_mend() -> None:
    with pytest.raises(Refused, match="1970-01-01T00:00:00Z or earlier") as refusal:
        _shares(_books(_rule(start=500)), _served("mem"))
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


_PEER = "https://north.example"


def _shared(
    known: Books, owed: int, *facts: Served, rebates: bool = True, records: int = 1
) -> tuple[SharedBill, dict[str, int]]:
    use = known.cut(facts)
    bill = rate(use, known.prices, known.classes)
    debts = [Owed(use.cut_of(5), "penalty", "mem", "11", _PEER, records, owed)]
    shared = share_bill(bill, use, known.sharing, debts, rebates=rebates)
    return shared, dict(shared.shares)


def test_what_another_region_is_owed_is_set_aside_and_the_rest_alone_is_shared() -> None:
    shared, shares = _shared(_books(_rule()), 40, _served("mem"))
    assert shares == {
        f"regions/{_PEER}": 40,
        "sources/mem": 36,
        "regions/11": 12,
        "platform": 6,
        "operators/alpha": 6,
    }
    assert explained(shared.lines[0].explanation, "en").startswith(
        "of 0.0001 yuan 0.00004 yuan are owed to other regions; of the other 0.00006 yuan,"
    )
    _, pooled = _shared(_books(_rule(BY_USE)), 40, _served("mem"))
    assert pooled == shares


def test_platform_bears_what_an_operator_pays_less_than_is_owed() -> None:
    twice = _served("mem"), _served("mem", answer=1)
    _, shares = _shared(_books(_rule()), 130, *twice, records=2)
    assert (shares[f"regions/{_PEER}"], shares["sources/mem"]) == (130, 42)
    shared, shares = _shared(_books(_rule()), 130, _served("mem"))
    assert shares == {f"regions/{_PEER}": 130, "platform": -30}
    assert "the platform bears" in explained(shared.lines[0].explanation, "en")


@pytest.mark.parametrize("owed", [0, 40, 100, 5_000])
def test_what_a_region_is_owed_takes_nothing_of_what_own_sources_supplied(owed: int) -> None:
    facts = [_served("mem", answer=number) for number in range(3)]
    alone = _shares(_books(_rule()), *facts[:2])[1]
    shared, shares = _shared(_books(_rule()), owed, *facts)
    assert shared.bill.total == sum(shares.values()) == 300
    beyond = max(100 - owed, 0)
    for name, part in (("sources/mem", 60), ("regions/11", 20), ("operators/alpha", 10)):
        assert shares[name] == alone[name] + beyond * part // 100
    assert shares.get(f"regions/{_PEER}", 0) == owed
    # Who pays less than is owed costs the platform, and nobody else.
    assert shares["platform"] == alone["platform"] + (beyond // 10 if beyond else 100 - owed)


def test_another_region_is_given_nothing_back() -> None:
    _, shares = _shared(_books(_rule()), 0, _served("mem"), rebates=False)
    assert shares == {"sources/mem": 60, "regions/11": 20, "platform": 20}


def test_each_micro_yuan_that_is_paid_is_shared_out_once_over_two_regions() -> None:
    """What operators pay is what sources, regions, platforms and operators given back to are owed,
    at both ends; the other region's part at the asking end is what it shares at home."""
    random = Random(6)
    some = 0
    for _ in range(400):
        home, asking = drawn.books(random), drawn.books(random)
        facts = drawn.facts(random, asking)
        there = [fact._replace(unit_price=random.choice((0, 1, 70_000, 333_333))) for fact in facts]
        use = asking.cut(facts)
        bill = rate(use, asking.prices, asking.classes)
        owed = [
            Owed(
                use.cut_of(fact.at), fact.item, fact.source, fact.region, _PEER, 1, other.unit_price
            )
            for fact, other in zip(facts, there, strict=True)
        ]
        here = dict(share_bill(bill, use, asking.sharing, owed).shares)
        theirs = home.cut(there)
        statement = share_bill(
            rate(theirs, home.prices, home.classes), theirs, home.sharing, rebates=False
        )
        listed = sum(fact.unit_price for fact in there)
        # The clearing: entries by list price, and the difference to the statement of the home.
        cleared = listed + (statement.bill.total - listed)
        settled = with_clearings(
            share_messages(Counter(here)),
            settled_clearings(
                share_messages(Counter(here)), {}, {_PEER: ClearedThrough(1, cleared)}
            ),
        )
        booked = by_beneficiary(settled)
        paid = bill.total
        assert booked.pop(f"regions/{_PEER}", 0) == cleared == sum(dict(statement.shares).values())
        assert sum(booked.values()) + sum(dict(statement.shares).values()) == paid
        assert not any(name.startswith("operators/") for name, _ in statement.shares)
        some += cleared != listed and paid > 0
    assert some > 100
