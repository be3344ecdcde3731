"""The rating of one term of a month: what one plan makes of the use of it. Pure.

See `gateway.settle.rating` for the order in which components are applied.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from gateway.settle.bill import NO_ITEM, BillLine, Charge, Explanation, Step
from gateway.settle.components import (
    CAP,
    FLAT,
    FREE_TIER,
    GRADUATED,
    MINIMUM,
    PER_RECORD,
    PER_SUBJECT,
    VOLUME,
    PriceComponent,
    Priced,
)
from gateway.settle.shares import divide
from gateway.settle.terms import Term
from gateway.settle.tiers import graduated, volume
from gateway.settle.use import UsePart

_CLASS: Final = "class:"
_NO_USE: Final = UsePart(0, NO_ITEM, NO_ITEM, NO_ITEM, "", 0, 0, 0, 0)


class Cell(NamedTuple):
    """Use alike, and the indexes of its parts in the month's use."""

    use: UsePart
    indexes: tuple[int, ...]


class TermRating:
    """The rating of one term: cells with their fees so far, and what belongs to none."""

    def __init__(
        self,
        term: Term,
        cells: Sequence[Cell],
        subjects: Callable[[Sequence[int]], int],
        charges: list[Charge],
        lines: list[BillLine],
    ) -> None:
        self._term = term
        # The last is of what belongs to no use.
        self._cells = [*cells, Cell(_NO_USE._replace(part_from=term.from_), ())]
        self._used = range(len(cells))
        self._fees = [0] * len(self._cells)
        self._subjects = subjects
        self._charges = charges
        self._lines = lines

    def rate(self) -> None:
        """Book all charges of the term."""
        self._price()
        for component in self._applying(FREE_TIER):
            self._free_tier(component)
        if self._term.stands:
            for component in self._applying(FLAT):
                self._flat(component)
            for component in self._applying(MINIMUM):
                self._minimum(component)
        for component in self._applying(CAP):
            self._cap(component)

    def _applying(self, kind: int) -> Iterable[PriceComponent]:
        components = () if self._term.plan is None else self._term.plan.components
        return (
            each
            for each in components
            if each.kind == kind and each.for_class(self._term.operator_class)
        )

    def _priced(self, at: int) -> Priced:
        use = self._cells[at].use
        return Priced(use.item, use.price_class, use.purpose, self._term.operator_class)

    def _price(self) -> None:
        groups: dict[str, tuple[PriceComponent | None, list[int]]] = {}
        for at in self._used:
            plan = self._term.plan
            component = None if plan is None else plan.charging(self._priced(at))
            id_ = (
                _CLASS + self._cells[at].use.price_class
                if component is None
                else component.component_id
            )
            groups.setdefault(id_, (component, []))[1].append(at)
        for id_, (component, cells) in sorted(groups.items()):
            if component is None or component.kind == PER_RECORD:
                self._per_record(id_, cells)
            elif component.kind == PER_SUBJECT:
                self._per_subject(component, cells)
            else:
                self._tiered(component, cells)

    def _per_record(self, id_: str, cells: Sequence[int]) -> None:
        for price in sorted({self._cells[at].use.unit_price for at in cells}):
            alike = [at for at in cells if self._cells[at].use.unit_price == price]
            records = self._records(alike)
            fee = records * price
            # In proportion to records, a fee of records times price leaves no remainder.
            self._book(
                Charge(
                    *self._head(id_, PER_RECORD),
                    records,
                    (Step(records, price, fee),),
                    fee,
                    Explanation(
                        "per_record", {"records": records, "unit_price": price, "fee": fee}
                    ),
                ),
                alike,
            )

    def _per_subject(self, component: PriceComponent, cells: Sequence[int]) -> None:
        subjects = self._subjects([index for at in cells for index in self._cells[at].indexes])
        fee = subjects * component.unit_price
        numbers = {"subjects": subjects, "unit_price": component.unit_price, "fee": fee}
        self._book(
            Charge(
                *self._head(component.component_id, PER_SUBJECT),
                subjects,
                (Step(subjects, component.unit_price, fee),),
                fee,
                Explanation("per_subject", numbers),
            ),
            cells,
        )

    def _tiered(self, component: PriceComponent, cells: Sequence[int]) -> None:
        records = self._records(cells)
        tiers = [
            (self._term.prorated(tier.from_records), tier.unit_price) for tier in component.tiers
        ]
        steps = (graduated if component.kind == GRADUATED else volume)(records, tiers)
        fee = sum(step.fee for step in steps)
        key = "graduated"
        if component.kind == VOLUME:
            key = "volume" if steps[0].quantity == records else "volume_next"
        numbers = {
            "records": records,
            "quantity": steps[-1].quantity,
            "unit_price": steps[-1].unit_price,
            "fee": fee,
        }
        self._book(
            Charge(
                *self._head(component.component_id, component.kind),
                records,
                steps,
                fee,
                Explanation(key, numbers),
            ),
            cells,
        )

    def _free_tier(self, component: PriceComponent) -> None:
        cells = [at for at in self._used if component.takes(self._priced(at))]
        records = self._records(cells)
        free = min(self._term.prorated(component.records), records)
        fees = sum(self._fees[at] for at in cells)
        credit = fees * free // records if records else 0
        if credit:
            numbers = {"free": free, "records": records, "before": fees, "fee": -credit}
            self._credit(component, free, Explanation("free_tier", numbers), cells, credit)

    def _flat(self, component: PriceComponent) -> None:
        fee = self._term.prorated(component.amount)
        if fee:
            cells = [at for at in self._used if component.takes(self._priced(at))]
            numbers = {"amount": component.amount, "fee": fee}
            self._add(component, Explanation("flat", numbers), cells, fee)

    def _minimum(self, component: PriceComponent) -> None:
        least, before = self._term.prorated(component.amount), sum(self._fees)
        if before < least:
            numbers = {"minimum": least, "before": before, "fee": least - before}
            self._add(component, Explanation("minimum", numbers), self._used, least - before)

    def _cap(self, component: PriceComponent) -> None:
        most, before = self._term.prorated(component.amount), sum(self._fees)
        if before > most:
            numbers = {"cap": most, "before": before, "fee": most - before}
            everything = range(len(self._cells))
            self._credit(component, 0, Explanation("cap", numbers), everything, before - most)

    def _records(self, cells: Iterable[int]) -> int:
        return sum(self._cells[at].use.records for at in cells)

    def _head(self, component_id: str, kind: int) -> tuple[str, str, int, int, int]:
        plan_id = "" if self._term.plan is None else self._term.plan.plan_id
        return plan_id, component_id, kind, self._term.from_, self._term.until

    def _add(
        self, component: PriceComponent, why: Explanation, cells: Sequence[int], fee: int
    ) -> None:
        head = self._head(component.component_id, component.kind)
        self._book(Charge(*head, 0, (), fee, why), cells or [len(self._used)])

    def _credit(
        self,
        component: PriceComponent,
        quantity: int,
        why: Explanation,
        cells: Sequence[int],
        credit: int,
    ) -> None:
        head = self._head(component.component_id, component.kind)
        weights = [self._fees[at] for at in cells]
        self._enter(
            Charge(*head, quantity, (), -credit, why),
            [(at, -part) for at, part in zip(cells, divide(credit, weights), strict=True) if part],
            "by_fees",
        )

    def _book(self, charge: Charge, cells: Sequence[int]) -> None:
        """Divide a charge among ``cells`` by their records; what has no use takes it alone."""
        weights = [self._cells[at].use.records for at in cells]
        fees = divide(charge.fee, weights) if any(weights) else (charge.fee,)
        self._enter(charge, list(zip(cells, fees, strict=True)), "by_records")

    def _enter(self, charge: Charge, fees: Sequence[tuple[int, int]], key: str) -> None:
        whole = self._records(at for at, _ in fees)
        for at, fee in fees:
            use = self._cells[at].use
            numbers = {"records": use.records, "of_records": whole, "of_fee": charge.fee}
            if charge.kind == PER_RECORD:
                why = {"records": use.records, "unit_price": use.unit_price, "fee": fee}
                explanation = Explanation("per_record", why)
            elif use.item == NO_ITEM:
                explanation = Explanation("of_no_use", {"fee": fee})
            elif key == "by_fees":
                explanation = Explanation(key, {"before": self._fees[at], **numbers, "fee": fee})
            else:
                explanation = Explanation(key, {**numbers, "fee": fee})
            self._fees[at] += fee
            self._lines.append(
                BillLine(
                    len(self._charges),
                    charge.component,
                    use.part_from,
                    self._term.operator_class,
                    use.item,
                    use.source,
                    use.region,
                    use.purpose,
                    use.records,
                    fee,
                    explanation,
                )
            )
        self._charges.append(charge)
