"""The rejects report: every row that did not enter, and why.

A CSV file in UTF-8 with a header: ``file``, ``row`` (the line it starts at, from 1; in
Parquet the row), ``record_id`` (empty when the loader refused the row before making one),
``column``, ``field`` (of the record, in proto notation), ``reason``, ``description``. No
value of the source is in it. A report takes the place of an earlier one, and of no other file.
"""

import csv
from pathlib import Path
from types import TracebackType
from typing import Final

from sdk.loading.batches import Batch
from sdk.loading.draft import DraftMaker
from sdk.loading.feed import Fed
from sdk.loading.rows import SourceRefused
from sdk.loading.unfinished import UnfinishedFile

HEADER: Final = ("file", "row", "record_id", "column", "field", "reason", "description")
_FIRST_LINE: Final = ",".join(HEADER)


def require_place(path: Path) -> None:
    """Raise SourceRefused where something stands at ``path``, or where it leads to, that is
    neither an earlier report nor an empty file; OSError where it cannot be read."""
    if not path.exists():
        return
    if path.is_file():
        # A spreadsheet that saved a report put a byte order mark before it.
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            line = file.readline(len(_FIRST_LINE) + 1)
        if not line or line.rstrip("\n") == _FIRST_LINE:
            return
    raise SourceRefused(
        f"{path} is no earlier report of rejected rows, which alone would be replaced: choose"
        " another place for the report"
    )


class RejectsReport:
    """Writes the report beside its place and puts it there when all is well.

    A load that breaks leaves an earlier report as it was. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._unfinished = UnfinishedFile(path)
        self._rows = csv.writer(self._unfinished.file)
        self._rows.writerow(HEADER)

    def add(self, source: str, batch: Batch, fed: Fed, maker: DraftMaker) -> None:
        """Write the refused and rejected rows of a batch, in order."""
        lines = [
            (
                refused.row,
                "",
                refused.column,
                refused.field,
                refused.fault.name,
                refused.fault.value,
            )
            for refused in batch.refused
        ]
        lines += [
            (
                batch.rows[rejection.index],
                rejection.record_id,
                maker.column_of(rejection.field),
                rejection.field,
                rejection.reason,
                rejection.description,
            )
            for rejection in fed.rejections
        ]
        self._rows.writerows((source, *line) for line in sorted(lines))

    def __enter__(self) -> "RejectsReport":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._unfinished.put()
        else:
            self._unfinished.throw_away()
