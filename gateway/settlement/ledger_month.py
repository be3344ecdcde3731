"""One month of an operator's usage ledger: `gateway.settle.use.MonthUse` over SQL.

What was used is counted by the store. Only where a price goes by subjects, or a sharing rule by
contribution, are the entries themselves read, in blocks. Rows never change, and an operator's
sequences are in the order of commit: all that is read up to one sequence is read at one instant,
however long it takes and whenever it is read again.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    func,
    literal_column,
    select,
)

from creditgate.rating.use import UsePart
from gateway.disclose.lines import lines_numbered
from gateway.meter.model import ANSWER, REVERSAL, lines_of, lines_text
from gateway.meter.tables import USAGE
from gateway.settle.use import Combination, Owed, PriceClassOf
from gateway.settlement.entries import EntryCounts, PartKey
from gateway.settlement.net_answers import ANSWER_COLUMNS, AnswerBlock, NetAnswers
from gateway.settlement.priced_lines import priced_lines
from gateway.settlement.region_records import region_records
from gateway.settlement.reversed import Reversed
from gateway.settlement.right_lines import RightLines
from gateway.settlement.right_use import right_uses
from gateway.storage.driver_rows import column_blocks
from gateway.storage.engines import snapshot

_GROUPS_AT_ONCE: Final = 1_000
# Written out, not bound: only then can a planner tell that the partial index serves.
_REVERSED: Final = literal_column(str(int(REVERSAL)))
_NO_LINES: Final = lines_text(())
_OWN: Final = USAGE.c
CREDIT: Final = USAGE.alias("credit")
"""Reversals, beside the answers they credit."""


class LedgerPosition(NamedTuple):
    """How far an operator's ledger is read: ``size`` answers and reversals, the last of them
    ``sequence``; both 0 before the first."""

    size: int
    sequence: int


NOWHERE: Final = LedgerPosition(0, 0)
"""Before the first answer."""


class _Counts(NamedTuple):
    """Records and answers by part, the last sequence counted (0 for none), and whether some of the
    answers charge records of other regions."""

    records: Counter[PartKey]
    answers: Counter[PartKey]
    last: int
    elsewhere: bool


class LedgerMonth:
    """`gateway.settle.use.MonthUse` of an operator, as its ledger stands at ``position``."""

    def __init__(
        self,
        engine: Engine,
        operator_id: str,
        starts: Sequence[int],
        until: int,
        price_class_of: PriceClassOf,
        position: LedgerPosition,
        answers_at_once: int,
        right: RightLines,
    ) -> None:
        self._engine = engine
        self._at_once = answers_at_once
        self._starts = tuple(starts)
        self.operator_id = operator_id
        self.from_ = self._starts[0]
        self.until = until
        self.position = position
        with snapshot(engine) as connection:
            self._reversed = self._reversals(connection)
            ought = right_uses(connection, operator_id, right, self._reversed)
            self._right = {
                sequence: use
                for sequence, use in ought.uses.items()
                if self.from_ <= use.served_at < until and sequence <= position.sequence
            }
            self._net = NetAnswers(self._reversed, self._right)
            records, answers, self.last_sequence, self._elsewhere = self._counts(connection)
            named = lines_numbered(connection, {key.line_no for key in records})
            self._lines = {**ought.unknown, **named}
        self._keys = tuple(sorted(key for key, count in records.items() if count))
        self.parts: Sequence[UsePart] = tuple(
            self._part(key, records[key], answers[key], price_class_of) for key in self._keys
        )

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many different subjects parts are about; see the protocol."""
        return self._entries.subjects(parts)

    def combinations(self) -> Sequence[Combination]:
        """Return the combinations of sources; see the protocol."""
        return self._entries.combinations()

    def owed(self) -> Sequence[Owed]:
        """Return what is owed to other regions for their records, by their list prices, in
        order. Raises LookupError where such records were not kept."""
        if not self._elsewhere:
            return []
        amounts: Counter[tuple[int, int, str]] = Counter()
        counts: Counter[tuple[int, int, str]] = Counter()
        with self._blocks(_OWN.entries == b"") as (other, blocks):
            for block in blocks:
                texts = {chunk: block.lines[at] for chunk, at in block.elsewhere.items()}
                records = region_records(other, self.operator_id, texts, self._lines)
                for chunk, at in block.elsewhere.items():
                    cut = bisect_right(self._starts, block.served_at[at]) - 1
                    for line_no, kept in records[chunk]:
                        amounts[cut, line_no, kept.region] += kept.fee
                        counts[cut, line_no, kept.region] += 1
        return [
            Owed(
                self._starts[cut],
                *self._lines[line_no],
                region,
                count,
                amounts[cut, line_no, region],
            )
            for (cut, line_no, region), count in sorted(counts.items())
        ]

    def _part(
        self, key: PartKey, records: int, answers: int, price_class_of: PriceClassOf
    ) -> UsePart:
        line, start = self._lines[key.line_no], self._starts[key.cut]
        return UsePart(
            start,
            *line,
            price_class_of(line.item, start),
            key.purpose,
            key.unit_price,
            records,
            answers,
        )

    def _counts(self, connection: Connection) -> _Counts:
        records: Counter[PartKey] = Counter()
        answers: Counter[PartKey] = Counter()
        elsewhere = False
        last = max((credited.sequence for credited in self._reversed.values()), default=0)
        for cut, (start, end) in enumerate(pairwise((*self._starts, self.until))):
            for text, purpose, rows, newest, fewest in self._groups(connection, start, end):
                last = max(last, newest)
                elsewhere = elsewhere or not fewest
                for line_no, count, unit_price in lines_of(text):
                    key = PartKey(cut, purpose, line_no, unit_price)
                    records[key] += count * rows
                    answers[key] += rows
        for credited in self._reversed.values():
            given = {line.line_no: line.records for line in lines_of(credited.lines)}
            cut = bisect_right(self._starts, credited.served_at) - 1
            for line_no, count, unit_price in lines_of(credited.reversed_lines):
                key = PartKey(cut, credited.purpose, line_no, unit_price)
                records[key] -= count
                answers[key] -= count == given.get(line_no)
        for sequence, use in self._right.items():
            cut = bisect_right(self._starts, use.served_at) - 1
            charged = self._net.lines_left(sequence, use.lines)
            for sign, lines in ((-1, charged), (1, priced_lines(use.right_lines))):
                for (line_no, price), count in lines.items():
                    key = PartKey(cut, use.purpose, line_no, price)
                    records[key] += sign * count
                    answers[key] += sign
        return _Counts(records, answers, last, elsewhere)

    def _groups(
        self, connection: Connection, start: int, end: int
    ) -> Generator[tuple[str, int, int, int, int]]:
        """Yield the different lines of answers by purpose, how many had them, the newest, and the
        fewest own entries of one: none where it charges records of other regions."""
        fewest = func.min(_OWN.entry_count)
        query = self._answers(
            select(_OWN.lines, _OWN.purpose, func.count(), func.max(_OWN.sequence), fewest),
            start,
            end,
        ).group_by(_OWN.lines, _OWN.purpose)
        with connection.execute(query, execution_options={"yield_per": _GROUPS_AT_ONCE}) as found:
            for row in found:
                yield row[0], row[1], row[2], row[3], row[4]

    def _reversals(self, connection: Connection) -> Mapping[int, Reversed]:
        """Return what was credited of answers of the month, by the answer's sequence."""
        # No index has it: else a planner may look for the reversals of all answers of the month,
        # which are many, instead of the answers of all reversals, which are few.
        served_at = _OWN.served_at + literal_column("0")
        query = of_answers(
            select(
                _OWN.sequence,
                CREDIT.c.sequence,
                _OWN.served_at,
                _OWN.purpose,
                _OWN.lines,
                CREDIT.c.lines,
                CREDIT.c.entries,
            )
        ).where(
            CREDIT.c.operator_id == self.operator_id,
            CREDIT.c.sequence <= self.position.sequence,
            served_at >= self.from_,
            served_at < self.until,
        )
        return {row[0]: Reversed(*row[1:]) for row in connection.execute(query)}

    @cached_property
    def _entries(self) -> EntryCounts:
        counts = EntryCounts(
            self.operator_id,
            self._starts,
            self._keys,
            {key.line_no: self._lines[key.line_no] for key in self._keys},
        )
        with self._blocks() as (other, blocks):
            for block in blocks:
                counts.add(other, block)
        return counts

    @contextmanager
    def _blocks(
        self, *narrowed: ColumnElement[bool]
    ) -> Generator[tuple[Connection, Iterator[AnswerBlock]]]:
        """Give the answers of the month, or some, and what to look up by what they name."""
        query = self._answers(select(*ANSWER_COLUMNS), self.from_, self.until).where(*narrowed)
        with (
            snapshot(self._engine) as connection,
            snapshot(self._engine) as other,
            closing(column_blocks(connection, query, self._at_once)) as found,
        ):
            yield other, map(self._net.block, found)

    def _answers(
        self, query: Select[*tuple[Any, ...]], start: int, end: int
    ) -> Select[*tuple[Any, ...]]:
        return query.where(
            _OWN.operator_id == self.operator_id,
            _OWN.served_at >= start,
            _OWN.served_at < end,
            _OWN.sequence <= self.position.sequence,
            _OWN.kind == ANSWER,
            # Records of other regions are no entries of this ledger's, and charged all the same.
            _OWN.lines != _NO_LINES,
        )


def of_answers(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Return a query of reversals, each beside the answer it credits."""
    return query.join_from(
        CREDIT,
        USAGE,
        and_(
            _OWN.operator_id == CREDIT.c.operator_id,
            _OWN.request_id == CREDIT.c.request_id,
            _OWN.chunk == CREDIT.c.chunk,
            _OWN.kind == ANSWER,
        ),
    ).where(CREDIT.c.kind == _REVERSED)
