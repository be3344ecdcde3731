"""The lines of a CSV file, and the way back to those that turn out to be no row."""

from collections.abc import Iterator
from pathlib import Path

from sdk.loading.rows import MOST_LINE


class RowTooLong(Exception):
    """The lines taken for a row pass MOST_LINE together."""


class CsvLines:
    """Gives lines to a reader of rows, which says where a row begins and may go back there.

    Bytes that are no UTF-8 become lone surrogates (PEP 383), so that they cost only the rows
    they stand in. Iterating raises RowTooLong, and all that reads OSError.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._at = 0
        self._begun = 0
        self._at_line = True
        self.taken: list[str] = []
        """The lines of the row so far."""
        self.first = 1
        """The line the row begins at, from 1."""
        self.number = 0
        """The line read last, from 1."""
        self.read_bytes = 0
        """How far the file has been read."""

    def begin(self) -> None:
        """Let a row begin at the next line."""
        self._begun = self._at
        self.first = self.number + 1
        self.taken.clear()

    def __iter__(self) -> "CsvLines":
        return self

    def __next__(self) -> str:
        encoding = "utf-8" if self._at else "utf-8-sig"
        line = self._piece()
        if not line:
            raise StopIteration
        if self.row_length > MOST_LINE or not _is_whole(line):
            raise RowTooLong
        text = line.decode(encoding, "surrogateescape")
        self.taken.append(text)
        return text

    @property
    def row_length(self) -> int:
        """How many bytes of the row have been read."""
        return self._at - self._begun

    def row_pieces(self) -> Iterator[bytes]:
        """Yield the lines from the row's first on, those beyond MOST_LINE in pieces."""
        self._go_back()
        while piece := self._piece():
            yield piece

    def row_text(self) -> str:
        """Return what was read of the row, anew."""
        self._file.seek(self._begun)
        return self._file.read(self.row_length).decode(errors="surrogateescape")

    def keep_first(self) -> bool:
        """Go back behind the first line of the row; return whether that passes MOST_LINE."""
        self._go_back()
        piece = self._piece()
        too_long = not _is_whole(piece)
        while piece and not self._at_line:
            piece = self._piece()
        return too_long

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _go_back(self) -> None:
        self._file.seek(self._begun)
        self._at, self._at_line, self.number = self._begun, True, self.first - 1

    def _piece(self) -> bytes:
        piece = self._file.readline(MOST_LINE)
        if piece:
            self.number += self._at_line
            self._at_line = piece.endswith(b"\n")
            self._at += len(piece)
            self.read_bytes = max(self.read_bytes, self._at)
        return piece


def _is_whole(line: bytes) -> bool:
    return len(line) < MOST_LINE or line.endswith(b"\n")
