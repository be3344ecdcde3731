"""What a month of entries comes to: the same as the statement of the same use, by what was told."""

from random import Random

import pytest
from pydantic import ValidationError

from creditgate.clearing import Clearing
from creditgate.clearing_amounts import (
    NOT_TOLD,
    AmountLine,
    MonthOfEntries,
    MonthUsed,
    is_listed_alone,
)
from creditgate.rating import months
from creditgate.rating.basis import GivenStarts, RatedBy, basis_of, rated_by
from creditgate.rating.plans import plan_bytes
from creditgate.rating.rating import rate
from tests.settle import drawn

_MONTH = "1970-01"


@pytest.fixture(autouse=True)
def _short_month(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the month be as short as that of what is drawn."""

    def bounds(month: str) -> tuple[int, int]:
        del month
        return 0, drawn.MONTH

    monkeypatch.setattr("creditgate.clearing_amounts.month_bounds", bounds)
    assert months.month_bounds(_MONTH)[0] == 0


def test_entries_come_to_what_the_statement_of_the_same_use_says_by_books_and_by_basis() -> None:
    random = Random(9)
    beyond = 0
    for _ in range(400):
        known = drawn.books(random)
        facts = drawn.facts(random, known)
        statement = rate(known.cut(facts), known.prices, known.classes)
        uses = [
            MonthUsed(f.at, f.item, f.source, f.region, f.purpose, f.unit_price, f.subject)
            for f in facts
        ]
        random.shuffle(uses)
        rules = known.sharing.rules
        starts = GivenStarts(tuple(rule.effective_from for rule in rules.things))
        books = RatedBy(known.prices, known.classes, starts, {})
        whole = MonthOfEntries("alpha", _MONTH, uses, books)
        bill = whole.rated()
        assert bill.total == statement.total
        assert whole.listed == sum(fact.unit_price for fact in facts)
        if is_listed_alone("alpha", _MONTH, books):
            assert bill.total == whole.listed
        # The asking region has the basis and the plans alone.
        basis = basis_of(bill, whole, known.prices, rules, known.classes)
        named = {each.plan_id for each in basis.plans}
        plans = [plan_bytes(plan) for plan in known.prices.plans.things if plan.plan_id in named]
        told = rated_by(basis, "someone", plans)
        assert MonthOfEntries("someone", _MONTH, uses, told).rated().total == bill.total
        # Where some subjects are not told, what it comes to is between two bounds.
        partly = [u._replace(subject=NOT_TOLD) if i % 3 else u for i, u in enumerate(uses)]
        bounds = MonthOfEntries("someone", _MONTH, partly, told)
        least, most = (bounds.rated(all_differ=differ).total for differ in (False, True))
        assert least <= bill.total <= most
        beyond += bill.total != whole.listed
    assert beyond > 100


def _line(home: str, month: str, **changed: int) -> AmountLine:
    numbers = {"entries": 1, "listed": 10, "rated": 7, "before": -1, "amount": -2} | changed
    return AmountLine.model_validate({"home": home, "month": month, "basis": "0" * 64} | numbers)


def test_line_adds_up_and_is_told_once_of_one_of_the_two_regions() -> None:
    with pytest.raises(ValidationError):
        _line("one", "2026-01", amount=-3)

    def clearing(*lines: AmountLine) -> Clearing:
        return Clearing(
            iss="one",
            iat=1,
            schema_version="2",
            other="two",
            until=9,
            proposing_due=5,
            other_due=6,
            entries_digest="0" * 64,
            disputes_digest="0" * 64,
            amounts=lines,
        )

    whole = clearing(_line("one", "2026-01"), _line("two", "2026-01"), _line("two", "2026-02"))
    # By list price, and beyond it.
    assert (whole.due_to("one"), whole.due_to("two")) == (3, 2)
    for lines in (
        (_line("two", "2026-01"), _line("one", "2026-01")),
        (_line("one", "2026-01"), _line("one", "2026-01")),
        (_line("three", "2026-01"),),
    ):
        with pytest.raises(ValidationError):
            clearing(*lines)
