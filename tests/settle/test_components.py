"""Components of price plans: what may be one, which prices a use, and what is charged at serving."""

import pytest
from pydantic import ValidationError

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
)
from creditgate.rating.prices import PriceBook, PricePlan
from tests.settle.strategies import plan_change

_TIERS = [{"from_records": 0, "unit_price": 9}, {"from_records": 10, "unit_price": 5}]
_USE = Priced("penalty", "basic", 1, "bank")


def _component(kind: int, id_: str = "c", **fields: object) -> PriceComponent:
    return PriceComponent.model_validate({"component_id": id_, "kind": kind, **fields})


def _plan(*components: PriceComponent) -> PricePlan:
    return PricePlan(plan_id="p", effective_from=0, prices={"basic": 100}, components=components)


@pytest.mark.parametrize(
    ("kind", "fields", "mend"),
    [
        (0, {}, "use one of PRICE_COMPONENT_KIND_PER_RECORD"),
        (PER_RECORD, {"amount": 1}, "amount does not belong"),
        (PER_SUBJECT, {"tiers": _TIERS}, "tiers does not belong"),
        (GRADUATED, {"tiers": _TIERS, "unit_price": 1}, "unit_price does not belong"),
        (GRADUATED, {}, "the first from 0"),
        (VOLUME, {"tiers": _TIERS[1:]}, "the first from 0"),
        (VOLUME, {"tiers": [*_TIERS, _TIERS[1]]}, "ascending"),
        (VOLUME, {"tiers": [*reversed(_TIERS)]}, "ascending"),
        (FREE_TIER, {}, "at least 1"),
        (FREE_TIER, {"records": 1, "amount": 1}, "amount does not belong"),
        (FLAT, {}, "at least 1"),
        (MINIMUM, {}, "at least 1"),
        (MINIMUM, {"amount": 1, "items": ["penalty"]}, "of the whole bill"),
        (CAP, {"amount": 1, "purposes": [1]}, "of the whole bill"),
        (CAP, {"records": 1}, "records does not belong"),
        (PER_RECORD, {"unit_price": -1}, "greater than or equal to 0"),
        (PER_RECORD, {"operator_classes": ["Bank"]}, "lower-case letters"),
        (PER_RECORD, {"discount": 1}, "not permitted"),
        (PER_RECORD, {"component_id": "No"}, "lower-case letters"),
    ],
)
def test_component_that_says_too_much_or_too_little_cannot_exist(
    kind: int, fields: dict[str, object], mend: str
) -> None:
    with pytest.raises(ValidationError, match=mend):
        PriceComponent.model_validate({"component_id": "c", "kind": kind, **fields})


def test_plan_whose_components_contradict_each_other_cannot_exist() -> None:
    minimum = _component(MINIMUM, "least", amount=10, operator_classes=["bank"])
    for cap in (
        _component(CAP, "most", amount=9),
        _component(CAP, "most", amount=9, operator_classes=["bank", "public"]),
    ):
        with pytest.raises(ValidationError, match="must not be above a cap"):
            _plan(minimum, cap)
    _plan(minimum, _component(CAP, "most", amount=9, operator_classes=["public"]))
    _plan(minimum, _component(CAP, "most", amount=10))
    with pytest.raises(ValidationError, match="an id of its own"):
        _plan(_component(FLAT, amount=1), _component(CAP, amount=1))


def test_the_first_component_that_selects_a_use_prices_it_and_its_class_where_none_does() -> None:
    plan = _plan(
        _component(FREE_TIER, "free", records=5),
        _component(PER_RECORD, "banks", unit_price=70, operator_classes=["bank"], purposes=[1]),
        _component(PER_RECORD, "penalties", unit_price=80, items=["penalty"]),
        _component(GRADUATED, "extra", tiers=_TIERS, price_classes=["extra"]),
        _component(PER_SUBJECT, "research", unit_price=30, purposes=[7]),
    )
    assert plan.list_price(_USE) == 70
    assert plan.list_price(_USE._replace(purpose=2)) == 80
    assert plan.list_price(_USE._replace(operator_class="")) == 80
    assert plan.list_price(_USE._replace(operator_class="", item="rating")) == 100
    # Of tiers the first is charged at serving; of subjects nothing.
    assert plan.list_price(Priced("rating", "extra", 2, "")) == 9
    assert plan.list_price(Priced("rating", "basic", 7, "")) == 0
    assert plan.list_price(Priced("rating", "unknown", 2, "")) is None


def test_plan_is_read_from_the_log_as_it_was_written() -> None:
    plan = _plan(
        _component(GRADUATED, "tiers", tiers=_TIERS, items=["b", "a"], operator_classes=["bank"]),
        _component(CAP, "most", amount=10**15),
    )
    document = plan.model_dump(mode="json")
    change = plan_change(1, plan)
    assert change.document == document
    (read,) = PriceBook.empty().advanced([change]).plans.things
    assert read == plan
    assert document["components"][0]["items"] == ["a", "b"]
