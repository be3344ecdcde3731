"""An answer's records by line and list price, net of what was credited of them. Pure."""

from collections import Counter
from collections.abc import Mapping

from gateway.meter.model import LineCount, lines_of, lines_text

PricedLines = Counter[tuple[int, int]]
"""How many records there are of a line, by its number, at a price (micro-yuan)."""


def priced_lines(lines: str) -> PricedLines:
    """Return the records of lines as the ledger has them."""
    found: PricedLines = Counter()
    for line_no, records, price in lines_of(lines):
        found[line_no, price] += records
    return found


def without(records: PricedLines, credited: PricedLines) -> PricedLines:
    """Return records without those that were credited.

    What was promised at another price than it was charged at was credited as well: where there are
    too few at that price, others of the line are taken, the dearest first.
    """
    left, elsewhere = records - credited, credited - records
    for line_no, price in elsewhere:
        more = elsewhere[line_no, price]
        of_line = Counter({key: left[key] for key in left if key[0] == line_no})
        left -= of_line - _fewer(of_line, of_line.total() - more)
    return +left


def right_left(right: PricedLines, charged: PricedLines, credited: PricedLines) -> PricedLines:
    """Return what is ``right`` of an answer, without what was ``credited`` of what it ``charged``.

    No more records ought to count than the answer gave and are left of it, whatever was promised:
    what a credit names none of may be what was credited all the same. And none ought to cost more
    than is charged, by list price.
    """
    left_charged = charged - credited
    left = _fewer(without(right, credited), left_charged.total())
    return min(left, left_charged, key=_list_fee)


def within(records: PricedLines, others: PricedLines) -> PricedLines:
    """Return records as far as there are others of the line, at whatever price, in their order."""
    of_line: Counter[int] = Counter()
    for (line_no, _), count in others.items():
        of_line[line_no] += count
    found: PricedLines = Counter()
    for key, count in records.items():
        found[key] = min(count, of_line[key[0]])
        of_line[key[0]] -= found[key]
    return +found


def _fewer(records: PricedLines, most: int) -> PricedLines:
    """Return ``most`` records or less, without the dearest beyond."""
    left = Counter(records)
    beyond = records.total() - most
    for key in sorted(records, key=lambda each: (-each[1], each[0])):
        if beyond <= 0:
            break
        taken = min(beyond, left[key])
        left[key] -= taken
        beyond -= taken
    return +left


def _list_fee(records: PricedLines) -> int:
    return sum(price * count for (_, price), count in records.items())


def text_of(records: Mapping[tuple[int, int], int]) -> str:
    """Return records as the ledger has lines."""
    return lines_text(
        tuple(LineCount(number, count, price) for (number, price), count in records.items())
    )
