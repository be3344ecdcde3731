"""How far a row of CSV reaches, and its values. Pure.

The rules are those of `csv.reader` in its strict way, without its limit to the length of a
value. That limit is one for the whole process, and so not the loader's to change.
"""

import re
from enum import Enum, auto
from typing import Final

_STOP: Final = re.compile(rb"[,\r\n]")
_VALUE: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^,\r\n]*))(?:,|[\r\n]*\Z)')
_TELLING_WIDTH: Final = 5


def is_like_row(commas: int, width: int, *, is_first: bool) -> bool:
    """Return whether a line with so many ``commas`` may be a row of ``width`` values of its own,
    though a quote before it makes it a part of one.

    The row whose quote was left open may have had it for a comma inside. Of a few columns a
    line of a text soon has as many commas: that tells nothing.
    """
    if width < _TELLING_WIDTH:
        return False
    return commas >= width - 1 if is_first else commas == width - 1


class _State(Enum):
    EMPTY = auto()
    PLAIN = auto()
    QUOTED = auto()
    QUOTE_MET = auto()
    RETURNED = auto()
    ENDED = auto()
    BROKEN = auto()


class RowExtent:
    """Reads a row piece by piece, in memory that does not grow with it.

    It stops where the row ends, breaks the rules, or passes ``most`` values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._state = _State.EMPTY
        self._commas = 0
        self._is_first = True
        self._in_line = False
        self.values = 1
        """How many values there are so far."""
        self.is_like_rows = True
        """Whether each line so far is like a row of ``most`` values."""

    @property
    def is_over(self) -> bool:
        """Whether no more need be read."""
        return self.values > self._most or self._state in (_State.ENDED, _State.BROKEN)

    @property
    def is_broken(self) -> bool:
        """Whether it is no row of CSV."""
        return self._state is _State.BROKEN

    def read(self, piece: bytes) -> None:
        """Read the next piece of the row; none lies across a line feed."""
        self._commas += piece.count(b",")
        self._in_line = not piece.endswith(b"\n")
        if not self._in_line:
            self._end_line()
        at = 0
        while at < len(piece) and not self.is_over:
            at = self._step(piece, at)

    def end(self) -> None:
        """Say that the file ends here, where the row is not over yet."""
        if self._in_line:
            self._end_line()
        self._state = _State.BROKEN if self._state is _State.QUOTED else _State.ENDED

    def _end_line(self) -> None:
        self.is_like_rows &= is_like_row(self._commas, self._most, is_first=self._is_first)
        self._commas, self._is_first = 0, False

    def _step(self, piece: bytes, at: int) -> int:
        """Read on from ``at``; return where to read on then."""
        if self._state is _State.QUOTED:
            quote = piece.find(b'"', at)
            if quote < 0:
                return len(piece)
            self._state = _State.QUOTE_MET
            return quote + 1
        if self._state is _State.PLAIN:
            stop = _STOP.search(piece, at)
            if stop is None:
                return len(piece)
            at = stop.start()
        self._state = self._after(piece[at : at + 1])
        return at + 1

    def _after(self, character: bytes) -> _State:
        match character:
            case b"\n":
                return _State.ENDED
            case b"\r":
                return _State.RETURNED
            case _ if self._state is _State.RETURNED:
                return _State.BROKEN
            case b",":
                self.values += 1
                return _State.EMPTY
            case b'"':
                return _State.QUOTED
            case _:
                return _State.BROKEN if self._state is _State.QUOTE_MET else _State.PLAIN


def values_of(row: str) -> list[str]:
    """Return the values of a row that `RowExtent` has found to be one."""
    values: list[str] = []
    at = 0
    while (found := _VALUE.match(row, at)) is not None:
        quoted, plain = found.groups()
        values.append(plain if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if not found[0].endswith(","):
            break
    return values
