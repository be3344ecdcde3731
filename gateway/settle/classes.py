"""Classes in time as the authority log has them; see `creditgate.rating.classes`.

A change of a class counts from its ``changed_at`` on, or from a later instant that a document of
kind `CLASS_START` before it tells: clocks that are apart, or set back, must not let it count for
what was used before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from creditgate.rating.classes import Classes, History, OperatorStanding
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.catalogue.model import CATALOGUE_ITEM
from operators.log import Change, Draft
from operators.model import OPERATOR
from operators.regions import REGION_ADMISSION

CLASS_START: Final = "class_start"
_REVOKED: Final = OperatorState.OPERATOR_STATE_REVOKED


Rated = OperatorStanding | str
"""What a version of an operator or an item says that use is rated by."""


def rated_by(kind: str, document: Mapping[str, object]) -> Rated | None:
    """Return what use is rated by of a document: the standing of an operator, the price class of
    an item; None of any other."""
    if kind == OPERATOR:
        return standing_of(document)
    return price_class_of(document) if kind == CATALOGUE_ITEM else None


def standing_of(document: Mapping[str, object]) -> OperatorStanding:
    """Return the class and standing of an operator as the log has it."""
    return OperatorStanding(str(document.get("operator_class", "")), document["state"] != _REVOKED)


def price_class_of(document: Mapping[str, object]) -> str:
    """Return the price class of an item as the log has it."""
    return str(document["price_class"])


def class_start(change: Draft, at: int) -> Draft:
    """Return what tells that ``change``, written behind it, counts from ``at`` (seconds, UTC) on."""
    return Draft(
        CLASS_START,
        # Of a version, so that there is one of each id.
        f"{change.kind}/{change.id}/{change.expected_version + 1}",
        0,
        {"kind": change.kind, "id": change.id, "counts_from": at},
    )


@dataclass(frozen=True, slots=True, eq=False)
class ClassBook(Classes):
    """The classes of every item and operator. `advanced` makes the next book.

    ``regions`` are the operators that other regions of the federation ever were here;
    ``not_before`` gives, by kind and id, before when no change of a class counts that is to come.
    """

    regions: frozenset[str] = frozenset()
    not_before: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    @classmethod
    def empty(cls) -> "ClassBook":
        """Return the book before the first item and operator."""
        return cls()

    def advanced(self, changes: Sequence[Change]) -> "ClassBook":
        """Return the book after ``changes``, passing over other kinds."""
        items: dict[str, History[str]] = {}
        operators: dict[str, History[OperatorStanding]] = {}
        regions: set[str] = set()
        not_before = dict(self.not_before)
        for change in changes:
            document, id_ = change.document, change.id
            at = max(change.changed_at, not_before.get((change.kind, id_), 0))
            if change.kind == CLASS_START:
                thing = str(document["kind"]), str(document["id"])
                not_before[thing] = int(str(document["counts_from"]))
            elif change.kind == CATALOGUE_ITEM:
                item = items.get(id_) or self.items.get(id_) or History[str]()
                items[id_] = item.then(at, price_class_of(document))
            elif change.kind == OPERATOR:
                operator = (
                    operators.get(id_) or self.operators.get(id_) or History[OperatorStanding]()
                )
                operators[id_] = operator.then(at, standing_of(document))
            elif change.kind == REGION_ADMISSION:
                regions.add(str(document["operator_id"]))
        if (
            not items
            and not operators
            and regions <= self.regions
            and not_before == self.not_before
        ):
            return self
        return ClassBook(
            {**self.items, **items},
            {**self.operators, **operators},
            self.regions | regions,
            not_before,
        )
