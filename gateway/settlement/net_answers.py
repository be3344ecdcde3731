"""Answers of a month as they count: net of what was reversed of them, and as they ought to be.

Nearly all count as the ledger has them. So answers come in blocks, as columns, and only those few
are looked at one by one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import case

from gateway.federation.asking.uses import RegionChunk
from gateway.meter.model import pack_entries, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settlement.priced_lines import PricedLines, priced_lines, text_of
from gateway.settlement.reversed import Reversed
from gateway.settlement.right_use import RightUse

_OWN: Final = USAGE.c
# Of own records there are entries.
_ELSEWHERE: Final = _OWN.entries == b""
ANSWER_COLUMNS: Final = (
    _OWN.sequence,
    _OWN.served_at,
    _OWN.purpose,
    _OWN.lines,
    _OWN.entries,
    # Of own records nobody needs them, and ids cost half as much to read as all the rest.
    case((_ELSEWHERE, _OWN.request_id)),
    case((_ELSEWHERE, _OWN.chunk)),
)
"""What `NetAnswers.block` takes of answers, in order."""


class AnswerBlock(NamedTuple):
    """Answers of the month, side by side, net of what was reversed of them.

    ``elsewhere`` are those that charge chunks of other regions, by index, which have no ``entries``;
    of these and of answers that ought to be others ``lines`` are net too.
    """

    served_at: Sequence[int]
    purposes: Sequence[int]
    lines: Sequence[str]
    entries: Sequence[bytes]
    elsewhere: Mapping[RegionChunk, int]


class NetAnswers:
    """Tells what is left of answers, given what was reversed of which, and which ought to have been
    others; both by sequence."""

    def __init__(self, reversals: Mapping[int, Reversed], right: Mapping[int, RightUse]) -> None:
        self._reversed = reversals
        self._right = right
        self._changed = reversals.keys() | right.keys()

    def lines_left(self, sequence: int, lines: str) -> PricedLines:
        """Return what is left of an answer's own lines beyond what was reversed of it."""
        credited = self._reversed.get(sequence)
        left = priced_lines(lines)
        return left - priced_lines(credited.reversed_lines) if credited else left

    def block(self, columns: Sequence[list[Any]]) -> AnswerBlock:
        """Return answers of the ledger as they count; ``columns`` are `ANSWER_COLUMNS` of some."""
        sequences, served_at, purposes, lines, entries, requests, chunks = columns
        elsewhere = {
            RegionChunk(request_id, chunks[at]): at
            for at, request_id in enumerate(requests)
            if request_id is not None
        }
        changed = [at for at, sequence in enumerate(sequences) if sequence in self._changed]
        for at in changed:
            away = requests[at] is not None
            lines[at], entries[at] = self._net(sequences[at], lines[at], entries[at], away=away)
        return AnswerBlock(served_at, purposes, lines, entries, elsewhere)

    def _net(self, sequence: int, lines: str, entries: bytes, *, away: bool) -> tuple[str, bytes]:
        right = self._right.get(sequence)
        if right is not None:
            return right.right_given, right.right_entries
        credited = self._reversed[sequence]
        left = Counter(unpack_entries(entries)) - Counter(unpack_entries(credited.reversed_entries))
        if away:
            lines = text_of(self.lines_left(sequence, lines))
        return lines, pack_entries(tuple(left.elements()))
