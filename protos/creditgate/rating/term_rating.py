"""The rating of one term of a month: what one plan makes of the use of it. Pure.

See `creditgate.rating.rating` for the order in which components are applied. What was used earlier
in the month counts, as the term's plan sees it, and is never priced anew.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from creditgate.rating.bill import Charge, Explanation, Step
from creditgate.rating.booking import Booking
from creditgate.rating.components import (
    CAP,
    FLAT,
    FREE_TIER,
    GRADUATED,
    MINIMUM,
    PER_RECORD,
    PER_SUBJECT,
    PriceComponent,
    Priced,
)
from creditgate.rating.division import divide
from creditgate.rating.terms import Term
from creditgate.rating.tiers import graduated, volume

CLASS: Final = "class:"
"""Begins the name that charges have, before a price class, of what a plan's plain price is for."""
_Subjects = Callable[[Sequence[int]], int]


class TermRating:
    """The rating of one term, the terms before it being booked already."""

    def __init__(self, term: Term, subjects: _Subjects, booking: Booking) -> None:
        self._term = term
        self._subjects = subjects
        self._booking = booking
        starts = [cell.use.part_from for cell in booking.cells[: booking.used]]
        self._used = [at for at, start in enumerate(starts) if term.from_ <= start < term.until]
        self._earlier = [at for at, start in enumerate(starts) if start < term.from_]
        # With what belongs to no use.
        self._own = list(self._used)

    def rate(self) -> None:
        """Book all charges of the term, but for its part of the month's minimum."""
        before = self._booking.total
        self._price()
        for component in self._applying(FREE_TIER):
            self._free_tier(component)
        if self._term.stands:
            for component in self._applying(FLAT):
                self._flat(component)
        for component in self._applying(CAP):
            self._cap(component, before)

    def least(self) -> tuple[int, PriceComponent] | None:
        """Return the term's part of the month's minimum, and the component that asks for it."""
        asked = [(self._term.of_time(each.amount), each) for each in self._applying(MINIMUM)]
        if not asked or not self._term.stands:
            return None
        return max(asked, key=lambda each: each[0])

    def _applying(self, kind: int) -> Iterable[PriceComponent]:
        components = () if self._term.plan is None else self._term.plan.components
        return (
            each
            for each in components
            if each.kind == kind and each.for_class(self._term.operator_class)
        )

    def _priced(self, at: int) -> Priced:
        use = self._booking.cells[at].use
        return Priced(use.item, use.price_class, use.purpose, self._term.operator_class)

    def _charging(self, at: int) -> PriceComponent | None:
        return None if self._term.plan is None else self._term.plan.charging(self._priced(at))

    def _price(self) -> None:
        groups: dict[str, tuple[PriceComponent | None, list[int]]] = {}
        for at in self._used:
            component = self._charging(at)
            id_ = (
                CLASS + self._booking.cells[at].use.price_class
                if component is None
                else component.component_id
            )
            groups.setdefault(id_, (component, []))[1].append(at)
            self._booking.priced_by[at] = PER_RECORD if component is None else component.kind
        for id_, (component, cells) in sorted(groups.items()):
            if component is None or component.kind == PER_RECORD:
                self._per_record(id_, cells)
            elif component.kind == PER_SUBJECT:
                self._per_subject(component, cells)
            else:
                self._tiered(component, cells)

    def _per_record(self, id_: str, cells: Sequence[int]) -> None:
        used = self._booking.cells
        for price in sorted({used[at].use.unit_price for at in cells}):
            alike = [at for at in cells if used[at].use.unit_price == price]
            records = self._booking.records(alike)
            # In proportion to records, a fee of records times price leaves no remainder.
            step = Step(records, price, records * price)
            numbers = {"records": records, "unit_price": price, "fee": step.fee}
            self._book(id_, PER_RECORD, records, (step,), Explanation("per_record", numbers), alike)

    def _per_subject(self, component: PriceComponent, cells: Sequence[int]) -> None:
        """Charge each subject once a month: in the first term it was used in by its price."""
        counted = [
            at
            for at in self._earlier
            if self._booking.priced_by[at] == PER_SUBJECT and self._charging(at) == component
        ]
        before = self._about(counted) if counted else 0
        subjects = self._about([*counted, *cells]) - before
        price = component.unit_price
        step = Step(subjects, price, subjects * price)
        numbers = {"subjects": subjects, "unit_price": price, "fee": step.fee}
        why = Explanation("per_subject", numbers)
        if before:
            why = Explanation("per_subject_after", {"before": before, **numbers})
        self._book(component.component_id, PER_SUBJECT, subjects, (step,), why, cells)

    def _about(self, cells: Iterable[int]) -> int:
        return self._subjects([index for at in cells for index in self._booking.cells[at].indexes])

    def _tiered(self, component: PriceComponent, cells: Sequence[int]) -> None:
        records = self._booking.records(cells)
        before = self._booking.records(
            at for at in self._earlier if self._charging(at) == component
        )
        tiers = [(tier.from_records, tier.unit_price) for tier in component.tiers]
        steps = (graduated if component.kind == GRADUATED else volume)(records, tiers, before)
        fee = sum(step.fee for step in steps)
        if component.kind == GRADUATED:
            why = _graduated(records, before, steps[-1], fee)
        else:
            why = _volume(records, before, steps, fee)
        self._book(component.component_id, component.kind, records, steps, why, cells)

    def _free_tier(self, component: PriceComponent) -> None:
        booking = self._booking
        cells = [at for at in self._used if component.takes(self._priced(at))]
        records = booking.records(cells)
        taken = sum(booking.free[at] for at in self._earlier if component.takes(self._priced(at)))
        free = min(max(component.records - taken, 0), records)
        if not free:
            return
        for at, given in zip(
            cells, divide(free, [booking.cells[at].weight for at in cells]), strict=True
        ):
            # A record that is free by two tiers is one free record.
            booking.free[at] = max(booking.free[at], given)
        fees = sum(booking.fees[at] for at in cells)
        credit = fees * free // records
        if credit:
            numbers = {"free": free, "records": records, "amount": fees, "fee": -credit}
            why = Explanation("free_tier", numbers)
            if taken:
                why = Explanation("free_tier_after", {"before": taken, **numbers})
            booking.credit(self._charge(component, free, -credit, why), cells)

    def _flat(self, component: PriceComponent) -> None:
        fee = self._term.of_time(component.amount)
        if not fee:
            return
        cells = [at for at in self._used if component.takes(self._priced(at))]
        if not cells:
            cells = self._booking.of_no_use(self._term.spans)
            self._own += cells
        why = Explanation("flat", {"amount": component.amount, "fee": fee})
        self._booking.book(self._charge(component, 0, fee, why), cells)

    def _cap(self, component: PriceComponent, before: int) -> None:
        total = self._booking.total
        # What was owed before the term is not taken back.
        most = max(component.amount, before)
        if total > most:
            numbers = {"cap": component.amount, "amount": total, "fee": most - total}
            why = Explanation("cap", numbers)
            if before > component.amount:
                why = Explanation("cap_passed", {**numbers, "earlier": before})
            self._booking.credit(self._charge(component, 0, most - total, why), self._own)

    def _charge(
        self, component: PriceComponent, quantity: int, fee: int, why: Explanation
    ) -> Charge:
        head = self._plan_id, component.component_id, component.kind
        return Charge(*head, self._term.from_, self._term.until, quantity, (), fee, why)

    def _book(
        self,
        id_: str,
        kind: int,
        quantity: int,
        steps: tuple[Step, ...],
        why: Explanation,
        cells: Sequence[int],
    ) -> None:
        fee = sum(step.fee for step in steps)
        span = self._term.from_, self._term.until
        self._booking.book(
            Charge(self._plan_id, id_, kind, *span, quantity, steps, fee, why), cells
        )

    @property
    def _plan_id(self) -> str:
        return "" if self._term.plan is None else self._term.plan.plan_id


def _graduated(records: int, before: int, last: Step, fee: int) -> Explanation:
    numbers = {
        "records": records,
        "quantity": last.quantity,
        "unit_price": last.unit_price,
        "fee": fee,
    }
    if not before:
        return Explanation("graduated", numbers)
    return Explanation("graduated_after", {"before": before, **numbers})


def _volume(records: int, before: int, steps: Sequence[Step], fee: int) -> Explanation:
    whole = steps[0]
    numbers = {"records": before + records, "unit_price": whole.unit_price}
    if before:
        earlier = {"before": before, "earlier": -steps[1].fee, "amount": whole.fee, "fee": fee}
        return Explanation("volume_after", {**numbers, **earlier})
    key = "volume" if whole.quantity == records else "volume_next"
    return Explanation(key, {**numbers, "quantity": whole.quantity, "fee": fee})
