"""Components of price plans: what a plan says beyond a price for each class."""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from creditgate import shapes
from creditgate.shapes import IN_ORDER, Items, Purposes
from creditgate.v1.settlement_service_pb2 import PriceComponentKind

# A million yuan a record: far above any price, and low enough that the fees of an
# answer, a statement and a month stay within 64 bits.
MOST_UNIT_PRICE: Final = 10**12
# A thousand million yuan a month.
MOST_AMOUNT: Final = 10**15
MOST_RECORDS: Final = 10**12
MOST_TIERS: Final = 20
MOST_CLASSES: Final = 100

UnitPrice = Annotated[int, Field(ge=0, le=MOST_UNIT_PRICE)]
PriceClass = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_PriceClasses = Annotated[frozenset[PriceClass], Field(max_length=MOST_CLASSES), IN_ORDER]
OperatorClasses = Annotated[
    frozenset[Annotated[str, AfterValidator(shapes.operator_class)]],
    Field(max_length=MOST_CLASSES),
    IN_ORDER,
]
_K = PriceComponentKind
_Id = Annotated[
    str,
    AfterValidator(
        shapes.matching(
            "[a-z0-9][a-z0-9.-]{0,63}",
            "use 1 to 64 lower-case letters, digits, dots and hyphens, a letter or digit first",
        )
    ),
]
PER_RECORD: Final = _K.PRICE_COMPONENT_KIND_PER_RECORD
PER_SUBJECT: Final = _K.PRICE_COMPONENT_KIND_PER_SUBJECT
GRADUATED: Final = _K.PRICE_COMPONENT_KIND_GRADUATED
VOLUME: Final = _K.PRICE_COMPONENT_KIND_VOLUME
FREE_TIER: Final = _K.PRICE_COMPONENT_KIND_FREE_TIER
FLAT: Final = _K.PRICE_COMPONENT_KIND_FLAT
MINIMUM: Final = _K.PRICE_COMPONENT_KIND_MINIMUM
CAP: Final = _K.PRICE_COMPONENT_KIND_CAP

CHARGING: Final = frozenset({PER_RECORD, PER_SUBJECT, GRADUATED, VOLUME})
"""Kinds that price use itself: each use is priced by one component of these at most."""
OF_THE_BILL: Final = frozenset({MINIMUM, CAP})
"""Kinds that bound the whole bill, and so select by operator class alone."""
TIERED: Final = frozenset({GRADUATED, VOLUME})


class Tier(BaseModel):
    """A price of one record (micro-yuan) from a number of records in the month on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_records: Annotated[int, Field(ge=0, le=MOST_RECORDS)]
    unit_price: UnitPrice


class Priced(NamedTuple):
    """What a price depends on: an item, its class, a purpose, and the operator's class."""

    item: str
    price_class: str
    purpose: int
    operator_class: str


class PriceComponent(BaseModel):
    """One component of a price plan. ``kind`` is a PriceComponentKind.

    Empty ``items``, ``price_classes``, ``purposes`` and ``operator_classes`` select all.
    ``unit_price`` and ``amount`` in micro-yuan; ``amount`` and ``records`` by the month.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    component_id: _Id
    kind: Annotated[PriceComponentKind.ValueType, AfterValidator(shapes.stated(PriceComponentKind))]
    items: Items = frozenset()
    price_classes: _PriceClasses = frozenset()
    purposes: Purposes = frozenset()
    operator_classes: OperatorClasses = frozenset()
    unit_price: UnitPrice = 0
    amount: Annotated[int, Field(ge=0, le=MOST_AMOUNT)] = 0
    records: Annotated[int, Field(ge=0, le=MOST_RECORDS)] = 0
    tiers: Annotated[tuple[Tier, ...], Field(max_length=MOST_TIERS)] = ()

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        for name, kinds in _NUMBERS.items():
            if getattr(self, name) and self.kind not in kinds:
                raise ValueError(f"{name} does not belong to this kind")
        if self.kind in {FREE_TIER, FLAT, MINIMUM} and not (self.records or self.amount):
            raise ValueError("give the records or the amount by the month, at least 1")
        if self.kind in TIERED:
            starts = [tier.from_records for tier in self.tiers]
            if not starts or starts[0] or starts != sorted(set(starts)):
                raise ValueError("give tiers in ascending order, the first from 0")
        if self.kind in OF_THE_BILL and (self.items or self.price_classes or self.purposes):
            raise ValueError("a minimum or cap is of the whole bill: select operator classes only")
        return self

    def for_class(self, operator_class: str) -> bool:
        """Tell whether it selects operators of a class ("" for none)."""
        return not self.operator_classes or operator_class in self.operator_classes

    def takes(self, use: Priced) -> bool:
        """Tell whether it selects a use."""
        return (
            (not self.items or use.item in self.items)
            and (not self.price_classes or use.price_class in self.price_classes)
            and (not self.purposes or use.purpose in self.purposes)
            and self.for_class(use.operator_class)
        )

    @property
    def list_price(self) -> int:
        """What one record is charged at serving, of a kind that prices use (micro-yuan)."""
        if self.kind == PER_SUBJECT:
            return 0
        return self.tiers[0].unit_price if self.tiers else self.unit_price


_NUMBERS: Final[Mapping[str, frozenset[PriceComponentKind.ValueType]]] = {
    "unit_price": frozenset({PER_RECORD, PER_SUBJECT}),
    "tiers": TIERED,
    "records": frozenset({FREE_TIER}),
    "amount": frozenset({FLAT, MINIMUM, CAP}),
}
