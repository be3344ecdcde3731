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
    too few at that price, others of the line are taken.
    """
    left, elsewhere = records - credited, credited - records
    for line_no, price in elsewhere:
        more = elsewhere[line_no, price]
        for key in sorted(key for key in left if key[0] == line_no):
            taken = min(more, left[key])
            left[key] -= taken
            more -= taken
    return +left


def text_of(records: Mapping[tuple[int, int], int]) -> str:
    """Return records as the ledger has lines."""
    return lines_text(
        tuple(LineCount(number, count, price) for (number, price), count in records.items())
    )
