"""Prices: price plans, and which of them decides what a record costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from gateway.settle.timeline import Timeline
from operators.log import Change
from operators.shapes import END_OF_TIME

PRICE_PLAN: Final = "price_plan"
# A million yuan a record: far above any price, and low enough that the fees of an
# answer, a statement and a month stay within 64 bits.
MOST_UNIT_PRICE: Final = 10**12
_NO_PRICES: Final[Mapping[str, int]] = MappingProxyType({})

UnitPrice = Annotated[int, Field(ge=0, le=MOST_UNIT_PRICE)]


class PricePlan(BaseModel):
    """What one record of each price class costs, in micro-yuan, from an instant on.

    ``effective_from`` is in seconds, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    plan_id: str
    effective_from: Annotated[int, Field(ge=0, le=END_OF_TIME)]
    prices: Annotated[Mapping[str, UnitPrice], Field(min_length=1)]

    @property
    def id(self) -> str:
        """Its id in the authority log."""
        return self.plan_id


@dataclass(frozen=True, slots=True, eq=False)
class PriceBook:
    """Every price plan. It never changes; `advanced` makes the next one."""

    plans: Timeline[PricePlan] = field(default_factory=Timeline[PricePlan])

    @classmethod
    def empty(cls) -> "PriceBook":
        """Return the book before the first plan: nothing has a price."""
        return cls()

    def advanced(self, changes: Sequence[Change]) -> "PriceBook":
        """Return the book after ``changes``, passing over other kinds.

        Raises pydantic.ValidationError for a plan this version does not understand.
        """
        plans = self.plans.advanced(changes, PRICE_PLAN, PricePlan.model_validate)
        return self if plans is self.plans else PriceBook(plans)

    def price_of(self, at: int) -> Mapping[str, int]:
        """Return the unit price of each price class at ``at``, in micro-yuan.

        One plan decides for all classes: a class it leaves out has no price then,
        whatever earlier plans say. The mapping is the plan's own: as long as the same
        plan decides, the same object comes back.
        """
        plan = self.plans.at(at)
        return _NO_PRICES if plan is None else plan.prices

    def unit_price(self, price_class: str, at: int) -> int | None:
        """Return the price of one record in micro-yuan; None where there is none."""
        return self.price_of(at).get(price_class)
