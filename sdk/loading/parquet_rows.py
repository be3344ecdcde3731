"""Parquet, read in record batches: never more than a part of a row group in memory."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from sdk.loading.fault import RowFault
from sdk.loading.rows import BadRow, Row, SourceRefused, require_columns

_ROWS_AT_ONCE: Final = 2_000
_BUFFER_BYTES: Final = 1 << 16


class ParquetRows:
    """Rows of a Parquet file that has at least ``columns``. Raises SourceRefused, OSError."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = list(columns)
        self._file = _opened(path)
        try:
            schema = self._file.schema_arrow
            require_columns(path, columns, schema.names)
            for column in columns:
                _require_texts(path, column, schema.field(column).type)
        except BaseException:
            self._file.close()
            raise
        self._size = path.stat().st_size
        self._rows = self._file.metadata.num_rows
        self.read_bytes = 0

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Yield the rows in order."""
        number = 0
        batches = self._file.iter_batches(_ROWS_AT_ONCE, columns=self._columns, use_threads=False)
        try:
            for batch in batches:
                texts = [_texts(batch.column(column)) for column in self._columns]
                endless = self._endless(batch)
                for at, cells in enumerate(zip(*texts, strict=True)):
                    number += 1
                    if at in endless:
                        yield BadRow(number, RowFault.NUMBER_NOT_FINITE, endless[at])
                    else:
                        yield Row(number, cells)
                self.read_bytes = self._size * number // max(1, self._rows)
        except (pa.ArrowException, ValueError, OverflowError, OSError):
            raise self._broken_off(number) from None
        # Where the file was cut at the border of a column, its reader takes that for the end.
        if number != self._rows:
            raise self._broken_off(number)
        self.read_bytes = self._size

    def _broken_off(self, number: int) -> SourceRefused:
        return SourceRefused(f"{self._path} cannot be read beyond row {number}; write it anew")

    def _endless(self, batch: Any) -> dict[int, str]:
        """Return the first column of each row of ``batch`` that is no finite number."""
        return {
            at: column
            for column in reversed(self._columns)
            for at in _not_finite(batch.column(column))
        }

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def parquet_columns(path: Path) -> list[str]:
    """Return the columns of a Parquet file. Raises SourceRefused, OSError."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        # Without pre_buffer, which would hold a whole row group's columns.
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except pa.ArrowException:
        raise SourceRefused(f"{path} is no Parquet file") from None
    except UnicodeDecodeError:
        raise SourceRefused(
            f"{path} has column names that are not in UTF-8; write it anew"
        ) from None


def _require_texts(path: Path, column: str, kind: Any) -> None:
    try:
        if not pa.types.is_nested(kind):
            pa.nulls(0, kind).cast(pa.string())
            return
    except pa.ArrowException:
        pass
    raise SourceRefused(f"{path}: column {column} is of a type no text can be made of: {kind}")


def _texts(column: Any) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_timestamp(kind):
        whole = column.cast(pa.timestamp("us", kind.tz), safe=False)
        return [_instant(value) for value in whole.to_pylist()]
    if pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.binary())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _decoded(column)
    if not pa.types.is_string(kind):
        column = column.cast(pa.string())
    try:
        values: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        return _decoded(column.cast(pa.binary()))
    return [value or "" for value in values]


def _not_finite(column: Any) -> list[int]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_floating(column.type):
        return []
    values: list[float | None] = column.cast(pa.float64()).to_pylist()
    return [at for at, value in enumerate(values) if value is not None and not isfinite(value)]


def _decoded(column: Any) -> list[str]:
    """Return texts; bytes that are no UTF-8 become lone surrogates (PEP 383)."""
    values: list[bytes | None] = column.to_pylist()
    return [(value or b"").decode(errors="surrogateescape") for value in values]


def _instant(value: datetime | None) -> str:
    if value is None:
        return ""
    return value.isoformat().replace("+00:00", "Z")
