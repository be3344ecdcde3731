"""Which uses a component of a price plan charges, by a month's statement and the plans. Pure."""

from bisect import bisect_right
from typing import NamedTuple

from creditgate.rating.components import CHARGING, Priced
from creditgate.rating.term_rating import CLASS
from creditgate.rating.terms import cuts
from creditgate.v1.usage_service_pb2 import Statement
from gateway.settle.month import Month
from gateway.settle.views import RatingView


class _Kind(NamedTuple):
    """Use that is charged alike; ``part_from`` is the start of its part of the month."""

    item: str
    source: str
    region: str
    purpose: int
    part_from: int


class ChargedUses:
    """The uses of a month that one component charges, a free tier's or a cap's among them.

    Of what is left of a kind of use the statement tells which charges it is about. Of what was
    reversed whole, or came after the month was closed, it tells nothing: such use is what the plan
    says. ``component_id`` as in StatementCharge, ``books`` those the month is rated by.
    """

    def __init__(
        self, statement: Statement, component_id: str, month: Month, books: RatingView
    ) -> None:
        self._operator_id = statement.operator_id
        self._component_id = component_id
        self._month = month
        self._books = books
        self._starts = cuts(
            self._operator_id,
            month.from_,
            month.until,
            books.prices,
            books.sharing.rules,
            books.classes,
        )
        self._charges = {
            number: (charge.period.start_time.seconds, charge.period.end_time.seconds)
            for number, charge in enumerate(statement.charges)
            if charge.component_id == component_id
        }
        self._periods: dict[_Kind, list[tuple[int, int]]] = {}
        for detail in statement.details:
            kind = _Kind(
                detail.item,
                detail.source,
                detail.region,
                detail.purpose,
                detail.part_from.seconds,
            )
            of_kind = self._periods.setdefault(kind, [])
            if detail.charge in self._charges:
                of_kind.append(self._charges[detail.charge])

    def has(self, item: str, source: str, region: str, purpose: int, served_at: int) -> bool:
        """Tell whether a use of the month is among them; ``served_at`` in seconds, UTC."""
        part_from = self._starts[bisect_right(self._starts, served_at) - 1]
        kind = _Kind(item, source, region, purpose, part_from)
        if kind not in self._periods:
            self._periods[kind] = self._planned(kind)
        return any(start <= served_at < end for start, end in self._periods[kind])

    def _planned(self, kind: _Kind) -> list[tuple[int, int]]:
        """Return when the component charges a kind of use by the plan of its part."""
        at = kind.part_from
        plan, classes = self._books.prices.plan_at(at), self._books.classes
        use = Priced(
            kind.item,
            classes.price_class(kind.item, at),
            kind.purpose,
            classes.standing(self._operator_id, at).operator_class,
        )
        pricing = None if plan is None else plan.charging(use)
        if self._component_id == (
            CLASS + use.price_class if pricing is None else pricing.component_id
        ):
            # There is no charge where nothing at all is left of what it prices.
            return [(self._month.from_, self._month.until)]
        components = () if plan is None else plan.components
        named = next((each for each in components if each.component_id == self._component_id), None)
        if named is None or named.kind in CHARGING or not named.takes(use):
            return []
        return list(self._charges.values())
