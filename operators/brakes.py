"""Emergency brakes (刹车): what administrators have stopped for the time being. Pure.

Source: Opinions on improving the social credit system (2025-03-31), article 10, handling of
emergencies. Brakes are kept as locks of several people on one switch are (29 CFR 1910.147,
lockout/tagout): each is released by itself, and what several reach stays stopped until the
last of them is, so that the end of one emergency never ends another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from operators import shapes
from operators.kept import Kept
from operators.model import Instant

BRAKE: Final = "brake"
MOST_ENGAGED: Final = 1_000
"""Most brakes engaged at once."""

Reach = Literal["EVERYTHING", "OPERATOR", "ITEM"]
"""What a brake stops record answers of: all, those to one operator, those with one item."""

_MOST_REASON: Final = 500
_Reason = Annotated[str, Field(max_length=_MOST_REASON)]


class Brake(Kept):
    """One brake, engaged until it is released.

    ``target`` is the operator's id or the item's code, "" where it stops everything.
    ``engaged_by`` is who engaged it, a person or a client.
    """

    brake_id: Annotated[str, AfterValidator(shapes.licence_number)]
    reach: Reach
    target: str = ""
    engaged_by: str
    engaged_at: Instant
    reason: _Reason
    released_at: Instant | None = None
    release_reason: _Reason = ""

    @model_validator(mode="after")
    def _has_its_target(self) -> "Brake":
        if self.reach == "OPERATOR":
            shapes.operator_id(self.target)
        elif self.reach == "ITEM":
            shapes.item_code(self.target)
        elif self.target:
            raise ValueError("name no target of what stops everything")
        return self

    @property
    def engaged(self) -> bool:
        """Whether it stops answers."""
        return self.released_at is None

    def stops_same(self, other: "Brake") -> bool:
        """Tell whether both stop the same."""
        return (self.reach, self.target) == (other.reach, other.target)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an answer is stopped: by a brake of that ``reach``; ``items`` are those stopped."""

    reach: Reach
    items: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Brakes:
    """Every brake by id, and what the engaged ones stop. It never changes."""

    by_id: Mapping[str, Brake] = field(default_factory=dict[str, Brake])
    everything: bool = False
    operators: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()

    def advanced(self, news: Mapping[str, Brake]) -> "Brakes":
        """Return the brakes after ``news``, itself where there are none."""
        if not news:
            return self
        by_id = {**self.by_id, **news}
        engaged = [brake for brake in by_id.values() if brake.engaged]
        return Brakes(
            by_id,
            any(brake.reach == "EVERYTHING" for brake in engaged),
            _targets(engaged, "OPERATOR"),
            _targets(engaged, "ITEM"),
        )

    def stops_operator(self, operator_id: str) -> Stop | None:
        """Return why all record answers to an operator are stopped, None where they are not."""
        if self.everything:
            return Stop("EVERYTHING")
        return Stop("OPERATOR") if operator_id in self.operators else None

    def stops(self, operator_id: str, items: Iterable[str]) -> Stop | None:
        """Return why an answer with records of ``items`` to an operator is stopped.

        ``operator_id`` is "" for an answer to a subject about itself.
        """
        stop = self.stops_operator(operator_id)
        if stop is not None:
            return stop
        stopped = self.items.intersection(items)
        return Stop("ITEM", stopped) if stopped else None

    def engaged(self) -> list[Brake]:
        """Return the brakes that stop answers, in the order they were engaged in."""
        return [self.by_id[id_] for id_ in sorted(self.by_id) if self.by_id[id_].engaged]


def _targets(engaged: Iterable[Brake], reach: Reach) -> frozenset[str]:
    return frozenset(brake.target for brake in engaged if brake.reach == reach)
