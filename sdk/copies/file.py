"""A file of copies: which form it is in, its copies, and their elements."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sdk.copies.held import CopiesRefused, HeldCopy
from sdk.copies.rows import row_copies
from sdk.copies.saved_records import saved_copies
from sdk.loading.rows import SourceRefused
from sdk.loading.sources import columns_of

_JSON_LINES: Final = frozenset((".jsonl", ".ndjson"))
_FORMS: Final = (
    "give it the columns record_id, content (or content_digest), disclosed_from and"
    " disclosed_until, or the lines `creditgate batch --output` writes"
)
_NONE_HELD: Final = "to say that you hold no copies, give a CSV of the column names alone"


@dataclass(frozen=True, slots=True)
class CopiesFile:
    """CSV, JSON lines or Parquet: see `sdk.copies.rows`, and for JSON lines also
    `sdk.copies.saved_records`."""

    path: Path

    def __iter__(self) -> Iterator[HeldCopy]:
        """Yield every copy, reading a little at a time. That none is held a CSV of column names
        alone says, or a Parquet file without rows: an empty file may be one that was not written.

        Raises CopiesRefused, OSError.
        """
        if not self.path.exists():
            raise CopiesRefused(f"{self.path} does not exist")
        try:
            columns = columns_of(self.path)
        except SourceRefused as refused:
            raise CopiesRefused(str(refused)) from None
        if "record_id" in columns:
            return row_copies(self.path, columns)
        json_lines = self.path.suffix.lower() in _JSON_LINES
        if json_lines and "name" in columns:
            return saved_copies(self.path)
        if columns or self.path.stat().st_size:
            raise CopiesRefused(f"{self.path}: {_FORMS}")
        raise CopiesRefused(f"{self.path} is empty: {_NONE_HELD}")
