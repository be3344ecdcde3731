"""Limits (限流): how fast operators may be served, burst and sustained. Pure.

A limit stands in the authority log until it is retired; to change one is to create another
and retire it, so that a count never mixes two rates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.vocabulary_pb2 import Purpose
from operators import shapes
from operators.kept import Kept
from operators.model import Instant

LIMIT: Final = "limit"
MOST_IN_FORCE: Final = 1_000
"""Most limits in force at once."""
MOST_REACHING: Final = 32
"""Most limits in force that reach one operator: each is looked at with every answer."""

_MOST_A_SECOND: Final = 10_000
_MOST_BURST: Final = 1_000_000
_SECONDS_A_DAY: Final = 86_400
_PER_CLIENT: Final = LimitPer.LIMIT_PER_CLIENT
_PER_ITEM: Final = LimitPer.LIMIT_PER_ITEM
_PER_PURPOSE: Final = LimitPer.LIMIT_PER_PURPOSE


class Limit(Kept):
    """One limit: ``count`` units in ``period_seconds``, at most ``burst`` at once.

    ``operator_id`` is "" where it is for every operator, each by itself; ``per`` is a
    LimitPer, ``unit`` a LimitUnit. ``client_id``, ``item`` and ``purpose`` narrow ``per``,
    and are empty (0) where they do not.
    """

    limit_id: Annotated[str, AfterValidator(shapes.licence_number)]
    operator_id: str = ""
    per: Annotated[int, AfterValidator(shapes.stated(LimitPer))]
    client_id: str = ""
    item: str = ""
    purpose: int = 0
    unit: Annotated[int, AfterValidator(shapes.stated(LimitUnit))]
    count: Annotated[int, Field(ge=1)]
    period_seconds: Annotated[int, Field(ge=1, le=_SECONDS_A_DAY)]
    burst: Annotated[int, Field(ge=1, le=_MOST_BURST)]
    created_at: Instant
    retired_at: Instant | None = None

    @model_validator(mode="after")
    def _means_something(self) -> "Limit":
        if self.operator_id:
            shapes.operator_id(self.operator_id)
        if self.client_id:
            shapes.client_id(self.client_id)
        if self.item:
            shapes.item_code(self.item)
        if self.purpose:
            shapes.stated(Purpose)(self.purpose)
        narrowed = {_PER_CLIENT: self.client_id, _PER_ITEM: self.item, _PER_PURPOSE: self.purpose}
        if any(value and per != self.per for per, value in narrowed.items()):
            raise ValueError("name a client, item or purpose only where that is counted")
        if self.per == _PER_ITEM and not self.item:
            raise ValueError("name the item that is counted")
        lookups = self.unit == LimitUnit.LIMIT_UNIT_LOOKUPS
        if self.per == LimitPer.LIMIT_PER_SUBJECT and not lookups:
            raise ValueError("count lookups where each subject is counted")
        if self.count > _MOST_A_SECOND * self.period_seconds:
            raise ValueError(f"allow at most {_MOST_A_SECOND} units a second")
        return self

    @property
    def in_force(self) -> bool:
        """Whether answers are judged by it."""
        return self.retired_at is None

    def reaches(self, operator_id: str) -> bool:
        """Tell whether it is for an operator, alone or among all."""
        return self.operator_id in ("", operator_id)


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Every limit by id, and those in force by whom they reach. It never changes."""

    by_id: Mapping[str, Limit] = field(default_factory=dict[str, Limit])
    for_all: tuple[Limit, ...] = ()
    by_operator: Mapping[str, tuple[Limit, ...]] = field(
        default_factory=dict[str, tuple[Limit, ...]]
    )

    def advanced(self, news: Mapping[str, Limit]) -> "Limits":
        """Return the limits after ``news``, itself where there are none."""
        if not news:
            return self
        by_id = {**self.by_id, **news}
        in_force = [by_id[id_] for id_ in sorted(by_id) if by_id[id_].in_force]
        named = {limit.operator_id for limit in in_force if limit.operator_id}
        return Limits(
            by_id,
            _reaching(in_force, ""),
            {operator_id: _reaching(in_force, operator_id) for operator_id in named},
        )

    def reaching(self, operator_id: str) -> tuple[Limit, ...]:
        """Return the limits in force that reach an operator, by id."""
        return self.by_operator.get(operator_id, self.for_all)

    def in_force(self) -> list[Limit]:
        """Return the limits in force."""
        return [limit for limit in self.by_id.values() if limit.in_force]

    def most_reaching(self) -> int:
        """Return how many limits reach the operator that the most reach."""
        return max(map(len, (self.for_all, *self.by_operator.values())))


def _reaching(limits: Iterable[Limit], operator_id: str) -> tuple[Limit, ...]:
    return tuple([limit for limit in limits if limit.reaches(operator_id)])
