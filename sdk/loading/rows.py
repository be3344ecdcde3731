"""Rows of a source, whatever its format: texts in the order of the columns asked for.

Values of other types become the text CSV would hold: integers in digits, true and false,
dates in ISO 8601; no value is "".
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from sdk.loading.fault import RowFault

MOST_LINE: Final = 1 << 20
"""Longest line of a text file, and of CSV longest row, in bytes."""


class SourceRefused(ValueError):
    """A file cannot be loaded at all, or not replaced by a report; the message names it and the
    mend."""


class Row(NamedTuple):
    """``number`` is the line the row starts at, from 1, the header counted; in Parquet the
    row, from 1."""

    number: int
    cells: Sequence[str]


class BadRow(NamedTuple):
    """A row that cannot be read; ``column`` "" where no single one is at fault."""

    number: int
    fault: RowFault
    column: str = ""


class RowReader(Protocol):
    """An open source. Iterating reads it once, a little at a time."""

    @property
    def read_bytes(self) -> int:
        """How far it has been read, in bytes of the file."""
        ...

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Yield the rows in order."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def require_columns(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise SourceRefused unless each of ``wanted`` is once among ``there``."""
    missing = [column for column in wanted if column not in there]
    if missing:
        raise SourceRefused(
            f"{path} lacks the columns {', '.join(missing)}; mend the file or the mapping"
        )
    twice = [column for column in wanted if there.count(column) > 1]
    if twice:
        raise SourceRefused(f"{path} has the columns {', '.join(twice)} more than once")
