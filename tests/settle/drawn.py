"""Random plans, rules and months of use, drawn fast from a seed.

Everything lies in one month of `MONTH` seconds from 0 on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from creditgate.rating.components import (
    CAP,
    FLAT,
    FREE_TIER,
    GRADUATED,
    MINIMUM,
    PER_RECORD,
    PER_SUBJECT,
    VOLUME,
    PriceComponent,
    Priced,
    Tier,
)
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.terms import cuts
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.settlement_service_pb2 import PriceComponentKind, SourceDivision
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.settle.classes import ClassBook
from gateway.settle.shares import BY_CONTRIBUTION, SharingBook, SharingRule
from operators.log import Change
from operators.model import OPERATOR
from tests.settle.month import PlainMonth, Served
from tests.settle.strategies import plan_change, rule_change

MONTH: Final = 1_000
ITEMS: Final = ("penalty", "licence", "rating")
SOURCES: Final = ("mem", "samr", "tax")
REGIONS: Final = ("11", "31")
PURPOSES: Final = (1, 2, 3)
CLASSES: Final = ("basic", "extra")
OPERATOR_CLASSES: Final = ("bank", "public")
_KINDS: Final = (PER_RECORD, PER_SUBJECT, GRADUATED, VOLUME, FREE_TIER, FLAT, MINIMUM, CAP)
_Name = TypeVar("_Name", str, int)
_PRICES: Final = (0, 1, 3, 7, 50_000, 333_333)


@dataclass(frozen=True)
class Books:
    """What decides about prices and shares."""

    prices: PriceBook
    sharing: SharingBook
    classes: ClassBook

    def cut(self, facts: Sequence[Served]) -> PlainMonth:
        """Return facts as a month of use, cut as these books need it."""
        starts = cuts("alpha", 0, MONTH, self.prices, self.sharing.rules, self.classes)
        return PlainMonth(facts, starts, MONTH, self.classes.price_class)

    def list_price(self, fact: Served) -> int:
        """Return what a record is charged at serving, 0 where it has no price."""
        plan = self.prices.plan_at(fact.at)
        price_class = self.classes.price_class(fact.item, fact.at)
        operator_class = self.classes.standing("alpha", fact.at).operator_class
        use = Priced(fact.item, price_class, fact.purpose, operator_class)
        return 0 if plan is None else plan.list_price(use) or 0


def _some(random: Random, of: Sequence[_Name]) -> frozenset[_Name]:
    return frozenset() if random.random() < 0.6 else frozenset({random.choice(of)})


def component(random: Random, number: int) -> PriceComponent:
    """Draw a component."""
    kind = random.choice(_KINDS)
    of_the_bill = kind in {MINIMUM, CAP}
    starts = sorted({0, *(random.randrange(1, 12) for _ in range(random.randrange(3)))})
    return PriceComponent(
        component_id=f"c{number}",
        kind=PriceComponentKind.ValueType(kind),
        items=frozenset() if of_the_bill else _some(random, ITEMS),
        price_classes=frozenset() if of_the_bill else _some(random, CLASSES),
        purposes=frozenset() if of_the_bill else _some(random, PURPOSES),
        operator_classes=_some(random, OPERATOR_CLASSES),
        unit_price=random.choice(_PRICES) if kind in {PER_RECORD, PER_SUBJECT} else 0,
        amount=random.choice((1, 100, 10**6, 10**9)) if kind in {FLAT, MINIMUM, CAP} else 0,
        records=random.randrange(1, 20) if kind == FREE_TIER else 0,
        tiers=tuple(Tier(from_records=start, unit_price=random.choice(_PRICES)) for start in starts)
        if kind in {GRADUATED, VOLUME}
        else (),
    )


def plan(random: Random, number: int, effective_from: int) -> PricePlan:
    """Draw a price plan."""
    components = [component(random, each) for each in range(random.randrange(6))]
    least = min((each.amount for each in components if each.kind == CAP), default=None)
    return PricePlan(
        plan_id=f"p{number}",
        effective_from=effective_from,
        prices={name: random.choice(_PRICES) for name in CLASSES},
        components=tuple(
            each
            for each in components
            if each.kind != MINIMUM or least is None or each.amount <= least
        ),
    )


def rule(random: Random, number: int, effective_from: int) -> SharingRule:
    """Draw a sharing rule."""
    first, second, third = sorted(random.randrange(10_001) for _ in range(3))
    division = SourceDivision.ValueType(random.randrange(1, 4))
    rebated = third < 10_000 and random.random() < 0.5
    return SharingRule(
        rule_id=f"r{number}",
        effective_from=effective_from,
        source_basis_points=first,
        region_basis_points=second - first,
        platform_basis_points=third - second,
        operator_basis_points=10_000 - third,
        rebate_operator_classes=frozenset({"bank"}) if rebated else frozenset(),
        source_division=division,
        completeness_basis_points=random.choice((0, 2_500, 10_000))
        if division == BY_CONTRIBUTION
        else 0,
    )


def books(random: Random) -> Books:
    """Draw the books of a month: some change within it, all decide from its start on."""
    starts = [0, *sorted({random.randrange(1, MONTH) for _ in range(random.randrange(3))})]
    plans = [plan(random, number, start) for number, start in enumerate(starts)]
    starts = [0, *sorted({random.randrange(1, MONTH) for _ in range(random.randrange(2))})]
    rules = [rule(random, number, start) for number, start in enumerate(starts)]
    return Books(
        PriceBook.empty().advanced([plan_change(n, each) for n, each in enumerate(plans, 1)]),
        SharingBook.empty().advanced([rule_change(n, each) for n, each in enumerate(rules, 1)]),
        ClassBook.empty().advanced(_class_changes(random)),
    )


def facts(random: Random, known: Books) -> list[Served]:
    """Draw what was served in the month, at the list prices of the time."""
    found: list[Served] = []
    for answer in range(random.randrange(12)):
        at, purpose = random.randrange(MONTH), random.choice(PURPOSES)
        for _ in range(random.randrange(1, 4)):
            fact = Served(
                at,
                answer,
                random.choice("xyz"),
                random.choice(ITEMS),
                random.choice(SOURCES),
                random.choice(REGIONS),
                purpose,
                0,
            )
            found.append(fact._replace(unit_price=known.list_price(fact)))
    return found


def item_change(sequence: int, item: str, price_class: str, at: int) -> Change:
    """Return the log entry that gives an item a price class."""
    return Change(sequence, CATALOGUE_ITEM, item, 1, {"price_class": price_class}, "admin", at, "")


def operator_change(
    sequence: int, operator_class: str, at: int, state: str = "ACTIVE", operator_id: str = "alpha"
) -> Change:
    """Return the log entry that gives an operator a class."""
    document = {
        "operator_class": operator_class,
        "state": OperatorState.Value(f"OPERATOR_STATE_{state}"),
    }
    return Change(sequence, OPERATOR, operator_id, 1, document, "admin", at, "")


def _class_changes(random: Random) -> list[Change]:
    changes = [item_change(1, item, random.choice(CLASSES), 0) for item in ITEMS]
    changes.append(operator_change(2, random.choice(("", *OPERATOR_CLASSES)), 0))
    if random.random() < 0.3:
        changes.append(item_change(3, random.choice(ITEMS), "extra", random.randrange(MONTH)))
    if random.random() < 0.3:
        changes.append(operator_change(4, "public", random.randrange(MONTH)))
    if random.random() < 0.1:
        changes.append(operator_change(5, "public", MONTH - 1, "REVOKED"))
    return changes
