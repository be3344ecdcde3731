"""CSV (RFC 4180) in UTF-8, with or without byte order mark."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sdk.loading.csv_extent import RowExtent, is_like_row, values_of
from sdk.loading.csv_lines import CsvLines, RowTooLong
from sdk.loading.fault import RowFault
from sdk.loading.rows import MOST_LINE, BadRow, Row, SourceRefused, require_columns

_RETURN_ALONE: Final = re.compile(rb'[^"\r\n]*(?:"[^"\r\n]*"[^"\r\n]*)*\r[^\r\n]')


class CsvRows:
    """Rows of a CSV file whose header names at least ``columns``.

    A row that is no CSV, or has too few or too many values, costs itself alone: the lines after
    its first, which an unclosed quote may have made its own, are read again as rows of their
    own. Those of a row that is as it should be never are, for a text must not become records:
    where they look like rows, it is refused with each of them. Raises SourceRefused, OSError.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._lines = CsvLines(path)
        try:
            self._rows = csv.reader(self._lines, strict=True)
            header = _header(path, self._lines, self._rows)
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
            lines.begin()
            try:
                values = next(self._rows)
            except StopIteration:
                return
            except (csv.Error, RowTooLong):
                yield from self._by_hand()
                continue
            if len(values) == width:
                if len(lines.taken) > 1 and self._is_like_rows():
                    yield from self._each_line(RowFault.QUOTE_OVER_ROWS)
                else:
                    yield Row(lines.first, [values[place] for place in places])
            elif values:
                lines.keep_first()
                yield BadRow(lines.first, RowFault.FIELD_COUNT)

    def _by_hand(self) -> Iterator[Row | BadRow]:
        """Yield what begins where `csv.reader` gave up: over its own limit, over that of a row,
        or since it is no row."""
        lines, extent = self._lines, RowExtent(self._width)
        for piece in lines.row_pieces():
            extent.read(piece)
            if extent.is_over:
                break
        else:
            extent.end()
        if extent.is_broken or extent.values != self._width:
            fault = RowFault.CSV_MALFORMED if extent.is_broken else RowFault.FIELD_COUNT
            yield BadRow(lines.first, RowFault.LINE_TOO_LONG if lines.keep_first() else fault)
        elif lines.number > lines.first and extent.is_like_rows:
            yield from self._each_line(RowFault.QUOTE_OVER_ROWS)
        elif lines.row_length > MOST_LINE:
            yield BadRow(lines.first, RowFault.LINE_TOO_LONG)
        else:
            values = values_of(lines.row_text())
            yield Row(lines.first, [values[place] for place in self._places])

    def _is_like_rows(self) -> bool:
        return all(
            is_like_row(line.count(","), self._width, is_first=not at)
            for at, line in enumerate(self._lines.taken)
        )

    def _each_line(self, fault: RowFault) -> Iterator[BadRow]:
        for number in range(self._lines.first, self._lines.number + 1):
            yield BadRow(number, fault)

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def csv_columns(path: Path) -> list[str]:
    """Return the columns a CSV file names. Raises SourceRefused, OSError."""
    with closing(CsvLines(path)) as lines:
        return _header(path, lines, csv.reader(lines, strict=True))


def _header(path: Path, lines: CsvLines, rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(rows)]
        for name in header:
            name.encode()
    except StopIteration:
        # An export that broke off at once is no file without rows.
        raise SourceRefused(f"{path} is empty: it has no line of CSV column names") from None
    except UnicodeEncodeError:
        raise SourceRefused(f"{path} is not in UTF-8; write it so") from None
    except (csv.Error, RowTooLong):
        # In a file of old Macs all is one line, which may be too long as well.
        if _RETURN_ALONE.match(next(lines.row_pieces())):
            raise SourceRefused(
                f"{path} ends its lines by carriage returns alone; write it with line feeds"
            ) from None
        raise SourceRefused(f"{path} does not start with a line of CSV column names") from None
    return header
