"""Uses as they ought to have been counted, in place of what the ledger has of them.

Evidence proves what a use ought to count (`gateway.settlement.credit`). A month is rated as it
is and as it ought to be; the ledger itself is never changed.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from creditgate.v1.usage_log_pb2 import UsageLine
from gateway.disclose.model import Line
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import ANSWER, lines_text, pack_entries, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settlement.priced_lines import (
    PricedLines,
    priced_lines,
    right_left,
    text_of,
    within,
)
from gateway.settlement.reversed import Reversed
from gateway.settlement.right_lines import RightLines
from gateway.storage.paging import pages

_OWN: Final = USAGE.c


class RightUse(NamedTuple):
    """An answer of the ledger, and what it ought to count: net of what was reversed of it.

    ``lines`` are the answer's own; ``right_given`` are those of ``right_lines`` that are of records
    the answer gave, and ``right_entries`` these where they are own records.
    """

    served_at: int
    purpose: int
    lines: str
    right_lines: str
    right_given: str
    right_entries: bytes


class RightUses(NamedTuple):
    """Answers that ought to count otherwise, by sequence, and the lines among those, by numbers of
    their own, that the store has none of: a receipt may promise what is no more, or never was."""

    uses: Mapping[int, RightUse]
    unknown: Mapping[int, Line]


def right_uses(
    connection: Connection,
    operator_id: str,
    right: RightLines,
    credited: Mapping[int, Reversed],
) -> RightUses:
    """Return the answers at the places of ``right``, without those there are none of.

    ``credited`` is what was reversed of answers, by sequence.
    """
    numbers, unknown = _numbers(
        connection, {_line(each) for some in right.values() for each in some}
    )
    found: dict[int, RightUse] = {}
    for some in pages(right):
        query = select(
            _OWN.sequence,
            _OWN.usage_index,
            _OWN.served_at,
            _OWN.purpose,
            _OWN.lines,
            _OWN.entries,
        ).where(
            _OWN.operator_id == operator_id,
            _OWN.usage_index.in_(some),
            _OWN.kind == ANSWER,
        )
        for row in connection.execute(query).all():
            counts: PricedLines = Counter()
            for each in right[row.usage_index]:
                counts[numbers[_line(each)], each.unit_price_micro_yuan] += each.entries
            charged = priced_lines(row.lines)
            gone = credited.get(row.sequence)
            gone_lines = priced_lines(gone.reversed_lines if gone else lines_text(()))
            left = right_left(+counts, charged, gone_lines)
            given = within(left, charged - gone_lines)
            entries = Counter(unpack_entries(row.entries))
            entries -= Counter(unpack_entries(gone.reversed_entries if gone else b""))
            found[row.sequence] = RightUse(
                row.served_at,
                row.purpose,
                row.lines,
                text_of(left),
                text_of(given),
                _entries(connection, tuple(entries.elements()), given),
            )
    return RightUses(found, unknown)


def _line(line: UsageLine) -> Line:
    return Line(line.item, line.source, line.region)


def _numbers(
    connection: Connection, lines: Collection[Line]
) -> tuple[Mapping[Line, int], Mapping[int, Line]]:
    """Return the numbers of lines, and those of them that the store has none of."""
    numbers: dict[Line, int] = {}
    for item, source, region in lines:
        number = connection.execute(
            select(LINES.c.line_no).where(
                LINES.c.item == item, LINES.c.source == source, LINES.c.region == region
            )
        ).scalar_one_or_none()
        if number is not None:
            numbers[Line(item, source, region)] = number
    newest = connection.execute(select(func.max(LINES.c.line_no))).scalar() or 0
    # Behind all that are known, as the next to be known will be: a month comes to the same then.
    unknown = dict(enumerate(sorted(set(lines) - numbers.keys()), newest + 1))
    return numbers | {line: number for number, line in unknown.items()}, unknown


def _entries(connection: Connection, sequences: Sequence[int], given: PricedLines) -> bytes:
    """Return those of an answer's entries that it ought to have, as many of each line."""
    left: Counter[int] = Counter()
    for (line_no, _), records in given.items():
        left[line_no] += records
    line_of: dict[int, int] = {}
    for some in pages(set(sequences)):
        query = select(REVISIONS.c.sequence, REVISIONS.c.line_no).where(
            REVISIONS.c.sequence.in_(some)
        )
        line_of |= {row[0]: row[1] for row in connection.execute(query)}
    kept: list[int] = []
    for sequence in sequences:
        line_no = line_of.get(sequence, 0)
        if left[line_no] > 0:
            left[line_no] -= 1
            kept.append(sequence)
    return pack_entries(kept)
