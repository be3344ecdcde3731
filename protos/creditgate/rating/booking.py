"""A month's bill in the making: cells of use with their fees so far, charges and lines. Pure."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from creditgate.rating.bill import NO_ITEM, BillLine, Charge, Explanation
from creditgate.rating.components import PER_RECORD
from creditgate.rating.division import divide
from creditgate.rating.terms import Span
from creditgate.rating.use import UsePart


class Cell(NamedTuple):
    """Use alike, and the indexes of its parts in the month's use.

    ``weight`` is what a charge is divided by: records, or seconds of what belongs to no use.
    ``operator_class`` is the operator's at that time.
    """

    use: UsePart
    indexes: tuple[int, ...]
    operator_class: str
    weight: int


class Booking:
    """What is booked of a month so far. One thread's own.

    ``fees`` are by cell, net of credits. ``priced_by`` tells the kind of component that priced a
    cell, ``free`` how many of its records were free. Cells of use come first, in order.
    """

    def __init__(self, parts: Sequence[UsePart], operator_class: Callable[[int], str]) -> None:
        self.cells = _cells(parts, operator_class)
        self.used = len(self.cells)
        self.fees = [0] * self.used
        self.priced_by = [0] * self.used
        self.free = [0] * self.used
        self.charges: list[Charge] = []
        self.lines: list[BillLine] = []

    @property
    def total(self) -> int:
        """Sum of all fees so far."""
        return sum(self.fees)

    def records(self, cells: Iterable[int]) -> int:
        """Return how many records cells have."""
        return sum(self.cells[at].use.records for at in cells)

    def of_no_use(self, spans: Iterable[Span]) -> list[int]:
        """Return new cells for what belongs to no use, one for each span."""
        first = len(self.cells)
        for span in spans:
            use = UsePart(span.from_, NO_ITEM, NO_ITEM, NO_ITEM, "", 0, 0, 0, 0)
            self.cells.append(Cell(use, (), span.operator_class, span.until - span.from_))
            self.fees.append(0)
        return list(range(first, len(self.cells)))

    def book(self, charge: Charge, cells: Sequence[int]) -> None:
        """Divide a charge among ``cells`` by their records, or seconds."""
        fees = divide(charge.fee, [self.cells[at].weight for at in cells])
        self._enter(charge, list(zip(cells, fees, strict=True)), "by_records")

    def credit(self, charge: Charge, cells: Sequence[int]) -> None:
        """Divide a charge below 0 among ``cells`` by their fees, which it does not exceed."""
        parts = divide(-charge.fee, [self.fees[at] for at in cells])
        less = [(at, -part) for at, part in zip(cells, parts, strict=True) if part]
        self._enter(charge, less, "by_fees")

    def _enter(self, charge: Charge, fees: Sequence[tuple[int, int]], key: str) -> None:
        whole = self.records(at for at, _ in fees)
        for at, fee in fees:
            cell = self.cells[at]
            use = cell.use
            self.lines.append(
                BillLine(
                    len(self.charges),
                    charge.component,
                    use.part_from,
                    cell.operator_class,
                    use.item,
                    use.source,
                    use.region,
                    use.purpose,
                    use.records,
                    fee,
                    _why(charge, use, fee, self.fees[at], whole, key),
                )
            )
            self.fees[at] += fee
        self.charges.append(charge)


def _why(charge: Charge, use: UsePart, fee: int, before: int, whole: int, key: str) -> Explanation:
    numbers = {"records": use.records, "of_records": whole, "of_fee": charge.fee, "fee": fee}
    if charge.kind == PER_RECORD:
        return Explanation(
            "per_record", {"records": use.records, "unit_price": use.unit_price, "fee": fee}
        )
    if use.item == NO_ITEM:
        return Explanation("of_no_use", {"fee": fee})
    return Explanation(key, {"amount": before, **numbers} if key == "by_fees" else numbers)


def _cells(parts: Sequence[UsePart], operator_class: Callable[[int], str]) -> list[Cell]:
    """Return parts alike as one, in order, so that neither order nor grouping matters."""
    cells: list[Cell] = []
    numbered = sorted(enumerate(parts), key=lambda each: each[1])
    for alike, group in groupby(numbered, key=lambda each: each[1]._replace(records=0, answers=0)):
        same = list(group)
        records = sum(part.records for _, part in same)
        if any(part.records < 0 for _, part in same):
            raise ValueError("use net of reversals is never negative")
        if records:
            answers = sum(part.answers for _, part in same)
            use = alike._replace(records=records, answers=answers)
            indexes = tuple(index for index, _ in same)
            cells.append(Cell(use, indexes, operator_class(use.part_from), records))
    return cells
