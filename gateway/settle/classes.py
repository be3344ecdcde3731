"""Classes in time: price classes of items and classes of operators, as they were at an instant.

What prices go by may be changed by administrators. A change acts from its second on, and
never on use before it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.catalogue.model import CATALOGUE_ITEM
from operators.log import Change
from operators.model import OPERATOR

_REVOKED: Final = OperatorState.OPERATOR_STATE_REVOKED
_Value = TypeVar("_Value")


class OperatorStanding(NamedTuple):
    """An operator's class ("" for none), and whether it stood: registered and not revoked."""

    operator_class: str
    stands: bool


_UNREGISTERED: Final = OperatorStanding("", stands=False)


@dataclass(frozen=True)
class _History(Generic[_Value]):
    """What something was, and from when on (seconds, UTC)."""

    starts: tuple[int, ...] = ()
    values: tuple[_Value, ...] = ()

    def then(self, at: int, value: _Value) -> "_History[_Value]":
        if self.values and self.values[-1] == value:
            return self
        # A clock set back does not make a later version the earlier one.
        at = max(at, self.starts[-1]) if self.starts else at
        return _History((*self.starts, at), (*self.values, value))

    def at(self, instant: int, before: _Value) -> _Value:
        index = bisect_right(self.starts, instant)
        return self.values[index - 1] if index else before

    def between(self, after: int, until: int) -> Iterator[int]:
        yield from self.starts[bisect_right(self.starts, after) : bisect_left(self.starts, until)]


@dataclass(frozen=True, slots=True, eq=False)
class ClassBook:
    """The classes of every item and operator. It never changes; `advanced` makes the next one."""

    items: Mapping[str, _History[str]] = field(default_factory=dict[str, _History[str]])
    operators: Mapping[str, _History[OperatorStanding]] = field(
        default_factory=dict[str, _History[OperatorStanding]]
    )

    @classmethod
    def empty(cls) -> "ClassBook":
        """Return the book before the first item and operator."""
        return cls()

    def advanced(self, changes: Sequence[Change]) -> "ClassBook":
        """Return the book after ``changes``, passing over other kinds."""
        items: dict[str, _History[str]] = {}
        operators: dict[str, _History[OperatorStanding]] = {}
        for change in changes:
            document, id_ = change.document, change.id
            if change.kind == CATALOGUE_ITEM:
                item = items.get(id_) or self.items.get(id_) or _History[str]()
                items[id_] = item.then(change.changed_at, str(document["price_class"]))
            elif change.kind == OPERATOR:
                operator = (
                    operators.get(id_) or self.operators.get(id_) or _History[OperatorStanding]()
                )
                standing = OperatorStanding(
                    str(document.get("operator_class", "")), document["state"] != _REVOKED
                )
                operators[id_] = operator.then(change.changed_at, standing)
        if not items and not operators:
            return self
        return ClassBook({**self.items, **items}, {**self.operators, **operators})

    def price_class(self, item: str, at: int) -> str:
        """Return the class ``item`` had at ``at`` (seconds, UTC); "" where it had none yet."""
        history = self.items.get(item)
        return "" if history is None else history.at(at, "")

    def standing(self, operator_id: str, at: int) -> OperatorStanding:
        """Return what an operator was at ``at`` (seconds, UTC)."""
        history = self.operators.get(operator_id)
        return _UNREGISTERED if history is None else history.at(at, _UNREGISTERED)

    def operator_starts(self, operator_id: str, after: int, until: int) -> Iterator[int]:
        """Yield the instants strictly between two at which the operator became something else."""
        history = self.operators.get(operator_id)
        if history is not None:
            yield from history.between(after, until)

    def item_starts(self, after: int, until: int) -> Iterator[int]:
        """Yield the instants strictly between two at which some item's class changed."""
        for history in self.items.values():
            # The first class of an item changes nothing: there is no use before it.
            yield from _History(history.starts[1:], history.values[1:]).between(after, until)
