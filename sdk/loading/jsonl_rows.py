"""JSONL: one JSON object a line, in UTF-8 (RFC 8259)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NoReturn, cast

from sdk.loading.fault import RowFault, RowRefused
from sdk.loading.rows import MOST_LINE, BadRow, Row

_CONSTANTS: Final = {None: "", True: "true", False: "false"}


class JsonlRows:
    """Rows of a JSONL file; each must have the keys ``columns``. Raises OSError."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("rb")
        self._columns = tuple(columns)
        self.read_bytes = 0

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Yield the rows in order; blank lines are none."""
        for number, line in enumerate(self._lines(), 1):
            if line is None:
                yield BadRow(number, RowFault.LINE_TOO_LONG)
                continue
            if line.isspace():
                continue
            try:
                row = _object(line)
                cells = [_text(row, column) for column in self._columns]
            except RowRefused as refused:
                yield BadRow(number, refused.fault, refused.column)
            else:
                yield Row(number, cells)

    def _lines(self) -> Iterator[bytes | None]:
        while line := self._file.readline(MOST_LINE):
            self.read_bytes += len(line)
            if len(line) < MOST_LINE or line.endswith(b"\n"):
                yield line
                continue
            self._skip_line(self._file)
            yield None

    def _skip_line(self, file: BinaryIO) -> None:
        while rest := file.readline(MOST_LINE):
            self.read_bytes += len(rest)
            if rest.endswith(b"\n"):
                return

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def jsonl_columns(path: Path) -> list[str]:
    """Return the keys of a JSONL file's first object, none if it has none. Raises OSError."""
    with path.open("rb") as file:
        try:
            return list(_object(file.readline(MOST_LINE)))
        except RowRefused:
            return []


def _object(line: bytes) -> dict[str, object]:
    try:
        parsed: object = _DECODER.decode(line.decode("utf-8-sig").strip())
    except UnicodeDecodeError:
        raise RowRefused(RowFault.NOT_UTF8) from None
    except (ValueError, RecursionError):
        raise RowRefused(RowFault.NOT_JSON) from None
    if type(parsed) is not dict:
        raise RowRefused(RowFault.NOT_JSON)
    return cast(dict[str, object], parsed)


def _text(row: dict[str, object], column: str) -> str:
    try:
        value = row[column]
    except KeyError:
        raise RowRefused(RowFault.COLUMN_MISSING, column=column) from None
    if type(value) is str:
        return value
    if value is None or type(value) is bool:
        return _CONSTANTS[value]
    raise RowRefused(RowFault.VALUE_NESTED, column=column)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# Numbers stay as written: a registration number must not lose its digits to a float.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_each_once, parse_int=str, parse_float=str, parse_constant=_no_constant
)
