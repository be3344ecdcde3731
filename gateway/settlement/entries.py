"""The entries of a month, counted: different subjects, and combinations of sources.

A subject counts once, whether its records came from here or from other regions. Answers come in
blocks and are worked on as arrays. What is kept of a block is which subjects
each part of the use is about, and what the answers alike come to.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from gateway.disclose.model import Line
from gateway.meter.model import lines_of
from gateway.settle.use import Combination, Supply
from gateway.settlement.net_answers import AnswerBlock
from gateway.settlement.region_records import region_records
from gateway.settlement.revisions import KnownRevisions, Numbers, changes, distinct, distinct_of
from gateway.settlement.sums import Sums

_ENTRY_BYTES: Final = 8
_NO_PART: Final = -1
_AMBIGUOUS: Final = -2
# A part and a subject as one number.
_SUBJECT_BITS: Final = 40
_SUBJECTS: Final = (1 << _SUBJECT_BITS) - 1
_MOST_LOOSE: Final = 1 << 20
"""Pairs of part and subject that may be kept more than once."""


class PartKey(NamedTuple):
    """What one part of a month's use is: ``cut`` counts the month's cuts from 0."""

    cut: int
    purpose: int
    line_no: int
    unit_price: int


class _Counted(NamedTuple):
    """Records of a block, side by side: index of the answer, number of the subject, line."""

    row: Numbers
    subject: Numbers
    line: NDArray[np.int32]


class EntryCounts:
    """Counts the entries of an operator's month. One thread's own.

    ``parts`` are the month's, by index; ``lines`` those of each number they name, ``starts``
    those of the cuts.
    """

    def __init__(
        self,
        operator_id: str,
        starts: Sequence[int],
        parts: Sequence[PartKey],
        lines: Mapping[int, Line],
    ) -> None:
        pairs = {number: (line.item, line.source) for number, line in lines.items()}
        self._operator_id = operator_id
        self._lines = lines
        self._starts = np.array(starts, np.int64)
        self._index_of = {part: index for index, part in enumerate(parts)}
        self._part_at = _table(parts, len(starts), pairs)
        self._pairs = sorted(set(pairs.values()))
        # Parts ranked by item and source: those of one pair are next to each other.
        self._ranked = sorted(range(len(parts)), key=lambda at: (pairs[parts[at].line_no], at))
        place = {pair: index for index, pair in enumerate(self._pairs)}
        self._rank = np.empty(len(parts), np.int64)
        self._rank[self._ranked] = np.arange(len(parts))
        self._pair_of_rank = np.array(
            [place[pairs[parts[at].line_no]] for at in self._ranked], np.int64
        )
        self._revisions = KnownRevisions()
        self._subjects: list[Numbers] = []
        self._loose = 0
        self._nodes: dict[int, int] = {}
        self._answers = Sums()
        self._supplies = Sums()

    def add(self, connection: Connection, block: AnswerBlock) -> None:
        """Count a block of answers; revisions are looked up on ``connection``.

        Raises LookupError where the ledger names what is not there.
        """
        counted = self._own(connection, block.entries)
        if block.elsewhere:
            elsewhere = self._elsewhere(connection, block)
            counted = _Counted(
                np.concatenate((counted.row, elsewhere.row)),
                np.concatenate((counted.subject, elsewhere.subject)),
                np.concatenate((counted.line, elsewhere.line)),
            )
        row, subject, line = counted
        if not len(row):
            return
        served_at = np.array(block.served_at, np.int64)
        cut = np.searchsorted(self._starts, served_at, side="right") - 1
        purposes = np.array(block.purposes, np.int64)
        part = self._part_at[cut[row], purposes[row], line]
        for at in np.flatnonzero(part < 0).tolist():
            part[at] = self._priced(block, int(row[at]), int(cut[row[at]]), int(line[at]))
        self._note_subjects(part.astype(np.int64) << _SUBJECT_BITS | subject)
        self._combine(row, subject, self._rank[part], cut)

    def subjects(self, parts: Collection[int]) -> int:
        """Return how many different subjects the parts of these indexes are about."""
        pairs = self._noted()
        among = np.isin(pairs >> _SUBJECT_BITS, np.array(list(parts), np.int64))
        return len(distinct(pairs[among] & _SUBJECTS))

    def combinations(self) -> tuple[Combination, ...]:
        """Return the combinations of sources, in order."""
        cuts, width = len(self._starts), len(self._ranked)
        found: list[Combination] = []
        answers = dict(zip(*self._answers.sums(), strict=True))
        in_order = zip(*self._supplies.sums(), strict=True)
        for combination, group in groupby(in_order, key=lambda each: each[0] // width):
            supplies = tuple(self._supply(code % width, records) for code, records in group)
            start = int(self._starts[combination % cuts])
            found.append(Combination(start, supplies, answers[combination]))
        return tuple(sorted(found))

    def _own(self, connection: Connection, entries: Sequence[bytes]) -> _Counted:
        """Return the records of this region that a block has."""
        revisions = np.frombuffer(b"".join(entries), np.int64)
        counts = np.fromiter(map(len, entries), np.int64, len(entries)) // _ENTRY_BYTES
        answers = np.repeat(np.arange(len(entries)), counts)
        return _Counted(answers, *self._revisions.of(connection, revisions))

    def _elsewhere(self, connection: Connection, block: AnswerBlock) -> _Counted:
        """Return the records of other regions that a block has."""
        charged = {chunk: block.lines[at] for chunk, at in block.elsewhere.items()}
        found = region_records(connection, self._operator_id, charged, self._lines)
        records = [(block.elsewhere[chunk], each) for chunk, some in found.items() for each in some]
        return _Counted(
            np.array([at for at, _ in records], np.int64),
            self._revisions.numbers([each.subject for _, each in records]),
            np.array([each.line_no for _, each in records], np.int32),
        )

    def _priced(self, block: AnswerBlock, answer: int, cut: int, line_no: int) -> int:
        """Return the part of an entry whose line was served at several prices in the cut."""
        for line in lines_of(block.lines[answer]):
            if line.line_no == line_no:
                purpose = block.purposes[answer]
                return self._index_of[PartKey(cut, purpose, line_no, line.unit_price)]
        raise LookupError("an answer of the ledger has an entry of no line of its own")

    def _note_subjects(self, pairs: Numbers) -> None:
        self._subjects.append(distinct(pairs))
        self._loose += len(self._subjects[-1])
        if self._loose > _MOST_LOOSE + len(self._subjects[0]) // 2:
            self._noted()

    def _noted(self) -> Numbers:
        together = np.concatenate([np.empty(0, np.int64), *self._subjects])
        # Nothing is held twice while it is put in order.
        self._subjects.clear()
        together.sort()
        self._subjects, self._loose = [distinct_of(together)], 0
        return self._subjects[0]

    def _supply(self, rank: int, records: int) -> Supply:
        item, source = self._pairs[self._pair_of_rank[rank]]
        return Supply(item, source, self._ranked[rank], records)

    def _combine(self, row: Numbers, subject: Numbers, rank: Numbers, cut: Numbers) -> None:
        width = len(self._ranked)
        # By answer, subject and part, all three as one number.
        span = int(subject.max()) + 1
        assert len(cut) * span * width < 1 << 63, "a block is small enough for one number"
        code = np.sort((row * span + subject) * width + rank)
        first = changes(code)
        records = np.diff(first, append=len(code))
        code = code[first]
        whose, rank = code // width, code % width
        begins = changes(whose)
        group = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(whose)))
        combination = self._nodes_of(group, self._pair_of_rank[rank]) * len(self._starts)
        combination += cut[whose[begins] // span]
        self._answers.add(combination, np.ones(len(combination), np.int64))
        self._supplies.add(combination[group] * width + rank, records)

    def _nodes_of(self, group: Numbers, pair: Numbers) -> Numbers:
        """Return a number for the set of pairs of each group; both in order, pairs by group."""
        width = len(self._pairs)
        code = distinct(group * width + pair)
        group, pair = code // width, code % width
        begins = changes(group)
        sizes = np.diff(begins, append=len(group))
        depth = np.arange(len(group)) - begins[group]
        node = np.zeros(len(begins), np.int64)
        # Sets of pairs alike end in the same node, reached pair by pair.
        for level in range(int(sizes.max())):
            at = np.flatnonzero(depth == level)
            node[group[at]] = self._children(node[group[at]] * width + pair[at])
        return node

    def _children(self, codes: Numbers) -> Numbers:
        met, inverse = np.unique(codes, return_inverse=True)
        nodes = self._nodes
        numbers = [nodes.setdefault(code, len(nodes) + 1) for code in met.tolist()]
        return np.array(numbers, np.int64)[inverse]


def _table(parts: Sequence[PartKey], cuts: int, lines: Collection[int]) -> NDArray[np.int32]:
    """Return the index of the part by cut, purpose and line, where these alone tell it."""
    purposes = max((part.purpose for part in parts), default=0) + 1
    table = np.full((cuts, purposes, max(lines, default=0) + 1), _NO_PART, np.int32)
    for index, (cut, purpose, line_no, _) in enumerate(parts):
        at = cut, purpose, line_no
        table[at] = index if table[at] == _NO_PART else _AMBIGUOUS
    return table
