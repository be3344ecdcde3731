"""A forecast is the bill of the month that goes on like its last seven days."""

from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Final

from creditgate.rating.components import FREE_TIER, PER_SUBJECT, PriceComponent
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.rating import rate
from creditgate.rating.terms import cuts
from gateway.settle.classes import ClassBook
from gateway.settle.forecast import (
    RECENT_SECONDS,
    Forecast,
    forecast,
    forecast_cuts,
)
from gateway.settle.shares import SharingBook
from tests.settle import drawn
from tests.settle.drawn import Books
from tests.settle.month import PlainMonth, Served
from tests.settle.strategies import plan_change

DAY: Final = 86_400
WEEK: Final = RECENT_SECONDS
MONTH: Final = 4 * WEEK
NOW: Final = 2 * WEEK


def books(*plans: PricePlan, state: str = "ACTIVE") -> Books:
    """Return books of these plans, with every item of class "basic" and the operator "alpha"."""
    changes = [drawn.item_change(1, item, "basic", 0) for item in drawn.ITEMS]
    return Books(
        PriceBook.empty().advanced([plan_change(n, plan) for n, plan in enumerate(plans, 1)]),
        SharingBook.empty(),
        ClassBook.empty().advanced([*changes, drawn.operator_change(2, "bank", 0, state)]),
    )


def starts(known: Books) -> tuple[int, ...]:
    """Return where the month has to be cut."""
    return cuts("alpha", 0, MONTH, known.prices, known.sharing.rules, known.classes)


def cut(known: Books, facts: Sequence[Served]) -> PlainMonth:
    """Return facts as the month."""
    return PlainMonth(facts, starts(known), MONTH, known.classes.price_class)


def forecast_of(known: Books, facts: Sequence[Served], now: int = NOW) -> Forecast:
    """Return the forecast of the month at ``now``."""
    read = forecast_cuts(starts(known), MONTH, now)
    seen = [fact for fact in facts if fact.at >= read[0]]
    use = PlainMonth(seen, read, MONTH, known.classes.price_class)
    return forecast(use, starts(known), now, known.prices, known.classes)


def used(at: int, subject: str = "x", item: str = "penalty", price: int = 7) -> Served:
    """Return one record served."""
    return Served(at, at, subject, item, "samr", "11", 1, price)


def plan(price: int, effective_from: int = 0) -> PricePlan:
    """Return a plan with one price of the class "basic"."""
    return PricePlan(
        plan_id=f"p-{effective_from}", effective_from=effective_from, prices={"basic": price}
    )


def test_a_forecast_is_the_bill_of_the_month_had_the_last_week_come_again() -> None:
    random = Random(6)
    dearer = 0
    for _ in range(400):
        tried = drawn.plan(random, 1, 0)
        known = books(tried.model_copy(update={"prices": {"basic": random.choice((0, 7, 50_000))}}))
        facts = [
            Served(
                random.randrange(NOW),
                answer,
                random.choice("xyz"),
                random.choice(drawn.ITEMS),
                random.choice(drawn.SOURCES),
                random.choice(drawn.REGIONS),
                random.choice(drawn.PURPOSES),
                0,
            )
            for answer in range(random.randrange(12))
        ]
        facts = [fact._replace(unit_price=known.list_price(fact)) for fact in facts]
        again = [
            fact._replace(at=fact.at + WEEK * later)
            for later in (1, 2)
            for fact in facts
            if fact.at >= NOW - WEEK
        ]
        told = forecast_of(known, facts)
        assert told.fee_so_far == rate(cut(known, facts), known.prices, known.classes).total
        whole = cut(known, [*facts, *again])
        assert told.fee_whole == rate(whole, known.prices, known.classes).total
        assert (told.records_so_far, told.records_whole) == (len(facts), len(facts) + len(again))
        dearer += told.fee_whole > told.fee_so_far
    assert dearer > 100


def test_what_is_left_of_a_week_goes_on_like_its_days_in_the_week_before() -> None:
    now = MONTH - 2 * DAY
    kinds = [*product(drawn.ITEMS, drawn.SOURCES, drawn.REGIONS, drawn.PURPOSES)]
    facts = [
        Served(now - WEEK + n * WEEK // len(kinds), n, "x", *kind, 7)
        for n, kind in enumerate(kinds)
    ]
    told = forecast_of(books(plan(7)), facts, now)
    more = sum(fact.at < now - WEEK + 2 * DAY for fact in facts)
    assert 10 < more < len(facts)
    assert told == Forecast(len(facts), len(facts) + more, 7 * len(facts), 7 * (len(facts) + more))


def by_subject(price: int, effective_from: int = 0) -> PricePlan:
    """Return a plan by which each subject costs once a month."""
    component = PriceComponent(component_id="each", kind=PER_SUBJECT, unit_price=price)
    return plan(7, effective_from).model_copy(update={"components": (component,)})


def test_subjects_of_the_last_week_come_again_and_are_charged_once() -> None:
    known = books(by_subject(1_000))
    daily = [used(at, "x") for at in range(0, NOW, DAY // 2)]
    told = forecast_of(known, daily)
    assert (told.records_whole, told.fee_so_far, told.fee_whole) == (56, 1_000, 1_000)
    # Of the month before they are known, and charged anew.
    before = [used(at, "x") for at in range(-WEEK, 0, DAY // 2)]
    told = forecast_of(known, [*before, used(-1, "y")], 0)
    assert (told.records_so_far, told.fee_so_far, told.fee_whole) == (0, 0, 2_000)


def test_subjects_come_again_on_the_weekdays_they_came_on() -> None:
    known = books(by_subject(1_000))
    now = 3 * DAY
    week = [used(now - WEEK + n * DAY, chr(97 + n)) for n in range(7)]
    # Four were used before the month began: these come again in it, three times or four.
    told = forecast_of(known, week, now)
    assert told == Forecast(3, 3 + 4 * 4 + 3 * 3, 3_000, 7_000)
    now = MONTH - 2 * DAY
    week = [
        used(now - 3 * WEEK, "c"),
        *(used(now - WEEK + n * DAY, "abxxxxx"[n]) for n in range(7)),
    ]
    assert forecast_of(known, week, now).fee_whole == forecast_of(known, week, now).fee_so_far
    assert forecast_of(known, week, now).records_whole == 8 + 2


def test_a_price_by_subject_that_comes_is_for_whom_the_last_week_was_about() -> None:
    later = NOW + WEEK + 3 * DAY
    known = books(plan(7), by_subject(1_000, later))
    told = forecast_of(known, [used(NOW - WEEK + n * DAY, chr(97 + n)) for n in range(7)])
    # What is left of the month then has four of the week's days.
    assert told.fee_whole == 7 * 7 + 10 * 7 + 4 * 1_000


def test_use_before_the_last_seven_days_is_not_expected_again() -> None:
    told = forecast_of(books(plan(7)), [used(0), used(WEEK - 1)])
    assert told == Forecast(2, 2, 14, 14)


def test_a_month_that_is_over_is_forecast_as_it_is() -> None:
    told = forecast_of(books(plan(7)), [used(MONTH - 1)], MONTH)
    assert told == Forecast(1, 1, 7, 7)


def test_a_plan_that_comes_into_force_prices_what_is_expected_from_then_on() -> None:
    known = books(plan(7), plan(100, 3 * WEEK))
    told = forecast_of(known, [used(NOW - 1)])
    assert told == Forecast(1, 3, 7, 7 + 7 + 100)


def test_a_free_tier_that_comes_takes_what_is_expected_from_then_on() -> None:
    free = PriceComponent(component_id="free", kind=FREE_TIER, records=1_000)
    later = plan(7, 3 * WEEK).model_copy(update={"components": (free,)})
    told = forecast_of(books(plan(7), later), [used(NOW - 1)])
    assert told.fee_whole == 7 + 7


def test_early_in_a_month_the_last_days_of_the_one_before_tell_how_it_goes_on() -> None:
    known = books(plan(7))
    assert forecast_of(known, [used(-1)], 0) == Forecast(0, 4, 0, 4 * 7)


def test_what_was_dearer_when_it_was_served_is_expected_at_the_price_of_now() -> None:
    told = forecast_of(books(plan(7)), [used(NOW - 1, price=1_000)])
    assert told.fee_whole == 1_000 + 7 + 7


def test_what_has_no_price_any_more_is_not_expected() -> None:
    last = PricePlan(plan_id="last", effective_from=NOW, prices={"other": 1})
    told = forecast_of(books(plan(7), last), [used(NOW - 1)])
    assert (told.records_whole, told.fee_whole) == (1, 7)


def test_nothing_is_expected_of_an_operator_that_was_revoked() -> None:
    told = forecast_of(books(plan(7), state="REVOKED"), [used(NOW - 1)])
    assert told.records_whole == 1
