"""Classes in time as the authority log has them; see `creditgate.rating.classes`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from creditgate.rating.classes import Classes, History, OperatorStanding
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.catalogue.model import CATALOGUE_ITEM
from operators.log import Change
from operators.model import OPERATOR
from operators.regions import REGION_ADMISSION

_REVOKED: Final = OperatorState.OPERATOR_STATE_REVOKED


@dataclass(frozen=True, slots=True, eq=False)
class ClassBook(Classes):
    """The classes of every item and operator. `advanced` makes the next book.

    ``regions`` are the operators that other regions of the federation ever were here.
    """

    regions: frozenset[str] = frozenset()

    @classmethod
    def empty(cls) -> "ClassBook":
        """Return the book before the first item and operator."""
        return cls()

    def advanced(self, changes: Sequence[Change]) -> "ClassBook":
        """Return the book after ``changes``, passing over other kinds."""
        items: dict[str, History[str]] = {}
        operators: dict[str, History[OperatorStanding]] = {}
        regions: set[str] = set()
        for change in changes:
            document, id_ = change.document, change.id
            if change.kind == CATALOGUE_ITEM:
                item = items.get(id_) or self.items.get(id_) or History[str]()
                items[id_] = item.then(change.changed_at, str(document["price_class"]))
            elif change.kind == OPERATOR:
                operator = (
                    operators.get(id_) or self.operators.get(id_) or History[OperatorStanding]()
                )
                standing = OperatorStanding(
                    str(document.get("operator_class", "")), document["state"] != _REVOKED
                )
                operators[id_] = operator.then(change.changed_at, standing)
            elif change.kind == REGION_ADMISSION:
                regions.add(str(document["operator_id"]))
        if not items and not operators and regions <= self.regions:
            return self
        return ClassBook(
            {**self.items, **items}, {**self.operators, **operators}, self.regions | regions
        )
