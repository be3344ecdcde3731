"""Files to load: which there are, of what format, and which shipped mapping fits them."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sdk.loading.csv_rows import CsvRows, csv_columns
from sdk.loading.jsonl_rows import JsonlRows, jsonl_columns
from sdk.loading.mapping import ColumnMapping
from sdk.loading.parquet_rows import ParquetRows, parquet_columns
from sdk.loading.rows import RowReader, SourceRefused


class _Format(NamedTuple):
    open: Callable[[Path, Sequence[str]], RowReader]
    columns: Callable[[Path], list[str]]


_FORMATS: Final[Mapping[str, _Format]] = {
    ".csv": _Format(CsvRows, csv_columns),
    ".jsonl": _Format(JsonlRows, jsonl_columns),
    ".ndjson": _Format(JsonlRows, jsonl_columns),
    ".parquet": _Format(ParquetRows, parquet_columns),
}


def open_rows(path: Path, columns: Sequence[str]) -> RowReader:
    """Open a file for its rows of ``columns``. Raises SourceRefused, OSError."""
    return _format_of(path).open(path, columns)


def columns_of(path: Path) -> list[str]:
    """Return the columns a file names, of JSON lines those of the first.

    Raises SourceRefused, OSError.
    """
    return _format_of(path).columns(path)


def sources_in(path: Path) -> tuple[Path, ...]:
    """Return ``path`` itself, or every file to load in and below a folder, by name.

    Hidden files are passed over. Raises SourceRefused when there is none, or where one is no
    file to read, such as a pipe or a link that leads nowhere.
    """
    if path.is_file():
        _format_of(path)
        return (path,)
    if not path.exists():
        raise SourceRefused(f"{path} does not exist")
    if not path.is_dir():
        raise SourceRefused(f"{path} is neither a file nor a folder")
    found = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if Path(name).suffix.lower() in _FORMATS and not name.startswith(".")
    )
    if not found:
        raise SourceRefused(f"{path} holds no file that ends in {', '.join(_FORMATS)}")
    for each in found:
        if not each.is_file():
            raise SourceRefused(f"{each} is no file that can be read: take it out of the folder")
    return tuple(found)


def fitting_mapping(path: Path, mappings: Mapping[str, ColumnMapping]) -> ColumnMapping:
    """Return the one of ``mappings`` all of whose columns the file has.

    Raises SourceRefused when none or several fit, OSError.
    """
    columns = set(columns_of(path))
    fitting = [name for name, mapping in mappings.items() if columns.issuperset(mapping.used())]
    if len(fitting) != 1:
        which = f"several mappings ({', '.join(fitting)})" if fitting else "no mapping"
        raise SourceRefused(
            f"{which} of {', '.join(mappings)} fit the columns of {path}; name one yourself"
        )
    return mappings[fitting[0]]


def _format_of(path: Path) -> _Format:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise SourceRefused(
            f"{path}: only files that end in {', '.join(_FORMATS)} can be loaded"
        ) from None
