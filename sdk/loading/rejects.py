"""The rejects report: every row that did not enter, and why.

A CSV file in UTF-8 with a header: ``file``, ``row`` (the line it starts at, from 1; in
Parquet the row), ``record_id`` (empty when the loader refused the row before making one),
``column``, ``field`` (of the record, in proto notation), ``reason``, ``description``. No
value of the source is in it.
"""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from sdk.loading.batches import Batch
from sdk.loading.draft import DraftMaker
from sdk.loading.feed import Fed

HEADER: Final = ("file", "row", "record_id", "column", "field", "reason", "description")


class RejectsReport:
    """Writes the report beside its place and puts it there when all is well.

    A load that breaks leaves an earlier report as it was. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file = self._unfinished.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
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
        with self._file:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())
        if error is None:
            self._unfinished.replace(self._path)
        else:
            self._unfinished.unlink()
