"""Statements as tables: CSV for spreadsheets, Parquet for analysis. The same rows, the same
bytes."""

import csv
import unicodedata
from io import BytesIO, StringIO
from typing import Final, get_type_hints

from gateway.documents.extract import Extract
from gateway.documents.rows import StatementRow

_COLUMNS: Final = StatementRow._fields
_NUMBERS: Final = frozenset(
    name for name, kind in get_type_hints(StatementRow).items() if kind is int
)
# What a text begins with that spreadsheets take for a formula (OWASP, CSV injection).
_SIGNS: Final = frozenset("=+-@")
_BREAKS: Final = ("\t", "\r", "\n")


def csv_of(extract: Extract) -> bytes:
    """Return an extract as CSV (RFC 4180).

    UTF-8 with byte order mark, by which spreadsheets know Chinese. A text that a spreadsheet
    could take for a formula begins with an apostrophe.
    """
    file = StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(value) for value in row] for row in extract.rows)
    return file.getvalue().encode("utf-8-sig")


def parquet_of(extract: Extract) -> bytes:
    """Return an extract as Parquet, with what it is in the file's own metadata."""
    # Here: it takes a while to load, and most processes never need it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            pa.field(name, pa.int64() if name in _NUMBERS else pa.string(), nullable=False)
            for name in _COLUMNS
        ],
        metadata={"creditgate.issuer": extract.issuer, "creditgate.state": extract.state},
    )
    columns = list(zip(*extract.rows, strict=True)) or [()] * len(_COLUMNS)
    table = pa.table(dict(zip(_COLUMNS, map(list, columns), strict=True)), schema=schema)
    file = BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def _cell(value: str | int) -> str | int:
    return f"'{value}" if isinstance(value, str) and _begins_a_formula(value) else value


def _begins_a_formula(text: str) -> bool:
    # Some take full-width and small signs for the plain ones, and pass over blanks before them.
    sign = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return sign in _SIGNS or text.startswith(_BREAKS)
