"""Prices: price plans, and which of them decides what use costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from creditgate.rating.components import (
    CAP,
    CHARGING,
    MINIMUM,
    PriceComponent,
    Priced,
    UnitPrice,
)
from creditgate.rating.timeline import Change, Timeline
from creditgate.shapes import END_OF_TIME

PRICE_PLAN: Final = "price_plan"
WITHDRAWN: Final = "withdrawn"
"""Of a version of a plan that was withdrawn before it began: True, beside its id alone."""
MOST_COMPONENTS: Final = 50


class PricePlan(BaseModel):
    """What use costs from an instant on (seconds, UTC).

    ``prices`` are of one record of each price class, in micro-yuan; ``components`` say the
    rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    plan_id: str
    effective_from: Annotated[int, Field(ge=0, le=END_OF_TIME)]
    prices: Annotated[Mapping[str, UnitPrice], Field(min_length=1)]
    components: Annotated[
        tuple[PriceComponent, ...], Field(strict=False, max_length=MOST_COMPONENTS)
    ] = ()

    @model_validator(mode="after")
    def _components_agree(self) -> Self:
        ids = [component.component_id for component in self.components]
        if len(set(ids)) != len(ids):
            raise ValueError("give each component an id of its own")
        if any(_contradict(*pair) for pair in product(self.components, repeat=2)):
            raise ValueError("a minimum must not be above a cap for the same operators")
        return self

    @property
    def id(self) -> str:
        """Its id in the authority log."""
        return self.plan_id

    def charging(self, use: Priced) -> PriceComponent | None:
        """Return the component that prices ``use``; None where its class's price does, if any."""
        return next(
            (each for each in self.components if each.kind in CHARGING and each.takes(use)), None
        )

    def list_price(self, use: Priced) -> int | None:
        """Return what one record is charged at serving, in micro-yuan; None where it has no price."""
        component = self.charging(use)
        return self.prices.get(use.price_class) if component is None else component.list_price


def _contradict(minimum: PriceComponent, cap: PriceComponent) -> bool:
    if minimum.kind != MINIMUM or cap.kind != CAP or minimum.amount <= cap.amount:
        return False
    first, second = minimum.operator_classes, cap.operator_classes
    return not (first and second) or bool(first & second)


@dataclass(frozen=True, slots=True, eq=False)
class PriceBook:
    """Every price plan. It never changes; `advanced` makes the next one.

    ``withdrawn`` are the ids of those that were withdrawn before they began: nobody else's.
    """

    plans: Timeline[PricePlan] = field(default_factory=Timeline[PricePlan])
    withdrawn: frozenset[str] = frozenset()

    @classmethod
    def empty(cls) -> "PriceBook":
        """Return the book before the first plan: nothing has a price."""
        return cls()

    def advanced(self, changes: Sequence[Change]) -> "PriceBook":
        """Return the book after ``changes``, passing over other kinds.

        Raises pydantic.ValidationError for a plan this version does not understand.
        """
        plans = self.plans.advanced(changes, PRICE_PLAN, _read)
        if plans is self.plans:
            return self
        withdrawn = {
            change.id
            for change in changes
            if change.kind == PRICE_PLAN and change.document.get(WITHDRAWN)
        }
        return PriceBook(plans, self.withdrawn | withdrawn)

    def plan_at(self, at: int) -> PricePlan | None:
        """Return the plan that decides at ``at`` (seconds, UTC), None before the first.

        One plan decides for all use: what it leaves out has no price then, whatever
        earlier plans say. As long as the same plan decides, the same object comes back.
        """
        return self.plans.at(at)


def _read(document: Mapping[str, object]) -> PricePlan | None:
    return None if document.get(WITHDRAWN) is True else PricePlan.model_validate(document)
