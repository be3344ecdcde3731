"""Classes in time: price classes of items and classes of operators, as they were at an instant.

What prices go by may be changed by administrators. A change acts from some second on, and
never on use before it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

_Value = TypeVar("_Value")


class OperatorStanding(NamedTuple):
    """An operator's class ("" for none), and whether it stood: registered and not revoked."""

    operator_class: str
    stands: bool


UNREGISTERED: Final = OperatorStanding("", stands=False)
"""What an operator is before it is registered."""


@dataclass(frozen=True)
class History(Generic[_Value]):
    """What something was, and from when on (seconds, UTC)."""

    starts: tuple[int, ...] = ()
    values: tuple[_Value, ...] = ()

    def then(self, at: int, value: _Value) -> "History[_Value]":
        """Return the history with another value from ``at`` on."""
        if self.values and self.values[-1] == value:
            return self
        # A clock set back does not make a later version the earlier one.
        at = max(at, self.starts[-1]) if self.starts else at
        return History((*self.starts, at), (*self.values, value))

    def at(self, instant: int, before: _Value) -> _Value:
        """Return the value at an instant, ``before`` where there was none yet."""
        index = bisect_right(self.starts, instant)
        return self.values[index - 1] if index else before

    def between(self, after: int, until: int) -> Iterator[int]:
        """Yield the starts strictly between two instants."""
        yield from self.starts[bisect_right(self.starts, after) : bisect_left(self.starts, until)]


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The classes of items and operators. They never change."""

    items: Mapping[str, History[str]] = field(default_factory=dict[str, History[str]])
    operators: Mapping[str, History[OperatorStanding]] = field(
        default_factory=dict[str, History[OperatorStanding]]
    )

    def price_class(self, item: str, at: int) -> str:
        """Return the class ``item`` had at ``at`` (seconds, UTC); "" where it had none yet."""
        history = self.items.get(item)
        return "" if history is None else history.at(at, "")

    def standing(self, operator_id: str, at: int) -> OperatorStanding:
        """Return what an operator was at ``at`` (seconds, UTC)."""
        history = self.operators.get(operator_id)
        return UNREGISTERED if history is None else history.at(at, UNREGISTERED)

    def operator_starts(self, operator_id: str, after: int, until: int) -> Iterator[int]:
        """Yield the instants strictly between two at which the operator became something else."""
        history = self.operators.get(operator_id)
        if history is not None:
            yield from history.between(after, until)

    def starts_after(
        self, operator_id: str, items: Iterable[str], after: int, until: int
    ) -> Iterator[int]:
        """Yield the instants strictly between two at which the operator, or one of ``items``,
        became something else."""
        yield from self.operator_starts(operator_id, after, until)
        for item in items:
            if (history := self.items.get(item)) is not None:
                yield from history.between(after, until)

    def item_starts(self, after: int, until: int) -> Iterator[int]:
        """Yield the instants strictly between two at which some item's class changed."""
        for history in self.items.values():
            # The first class of an item changes nothing: there is no use before it.
            yield from History(history.starts[1:], history.values[1:]).between(after, until)
