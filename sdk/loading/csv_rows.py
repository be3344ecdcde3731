"""CSV (RFC 4180) in UTF-8, with or without byte order mark."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sdk.loading.fault import RowFault
from sdk.loading.rows import MOST_LINE, BadRow, Row, SourceRefused, require_columns


class _LineTooLong(Exception):
    """The next line passes MOST_LINE; it was skipped."""


class _Lines:
    """The lines of a file, which can be put back when they turn out not to be one row.

    Bytes that are no UTF-8 become lone surrogates (PEP 383), so that they cost only the
    rows they stand in; a line too long is None when put back.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._again: deque[str | None] = deque()
        self.taken: list[str | None] = []
        self.number = 0
        self.read_bytes = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        self.number += 1
        self.taken.append(line)
        if line is None:
            raise _LineTooLong
        return line

    def _read(self) -> str | None:
        line = self._file.readline(MOST_LINE)
        self.read_bytes += len(line)
        if not line:
            raise StopIteration
        if len(line) == MOST_LINE and not line.endswith(b"\n"):
            while rest := self._file.readline(MOST_LINE):
                self.read_bytes += len(rest)
                if rest.endswith(b"\n"):
                    break
            return None
        encoding = "utf-8-sig" if self.read_bytes == len(line) else "utf-8"
        return line.decode(encoding, "surrogateescape")

    def put_back(self) -> None:
        """Put back all taken lines but the first."""
        _, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)

    def close(self) -> None:
        self._file.close()


class CsvRows:
    """Rows of a CSV file whose header names at least ``columns``.

    A row that is no CSV costs itself alone: an unclosed quote swallows the lines after
    it, and they are read again as rows of their own. Raises SourceRefused, OSError.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._lines = _Lines(path)
        try:
            self._rows = csv.reader(self._lines, strict=True)
            header = _header(path, self._rows)
            require_columns(path, columns, header)
        except BaseException:
            self._lines.close()
            raise
        self._width = len(header)
        self._places = [header.index(column) for column in columns]

    @property
    def read_bytes(self) -> int:
        """How far the file has been read."""
        return self._lines.read_bytes

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Yield the rows in order; empty lines are none."""
        lines, width, places = self._lines, self._width, self._places
        while True:
            lines.taken.clear()
            number = lines.number + 1
            try:
                values = next(self._rows)
            except StopIteration:
                return
            except (csv.Error, _LineTooLong):
                too_long = lines.taken[0] is None
                lines.put_back()
                yield BadRow(number, RowFault.LINE_TOO_LONG if too_long else RowFault.CSV_MALFORMED)
                continue
            if len(values) == width:
                yield Row(number, [values[place] for place in places])
            elif values:
                yield BadRow(number, RowFault.FIELD_COUNT)

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def csv_columns(path: Path) -> list[str]:
    """Return the columns a CSV file names. Raises SourceRefused, OSError."""
    with closing(_Lines(path)) as lines:
        return _header(path, csv.reader(lines, strict=True))


def _header(path: Path, rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(rows)]
        for name in header:
            name.encode()
    except StopIteration:
        # An export that broke off at once is no file without rows.
        raise SourceRefused(f"{path} is empty: it has no line of CSV column names") from None
    except UnicodeEncodeError:
        raise SourceRefused(f"{path} is not in UTF-8; write it so") from None
    except (csv.Error, _LineTooLong):
        raise SourceRefused(f"{path} does not start with a line of CSV column names") from None
    return header
