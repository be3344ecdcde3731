"""Batches: rows become requests of PublishRecords, one batch each.

A batch holds at most 1,000 drafts, because an answer lists the first 1,000 rejections:
so none is ever left out. Its id is the hash of its records. The same load run again
therefore sends the same batches, which the gateway skips; a record met again in another
batch it finds unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from creditgate.v1.disclosure_service_pb2 import PublishRecordsRequest, RecordDraft
from sdk.loading.draft import DraftMaker
from sdk.loading.fault import RowFault, RowRefused
from sdk.loading.rows import BadRow, Row, RowReader

MOST_DRAFTS: Final = 1_000
_MOST_ROWS: Final = 5_000
_MOST_BYTES: Final = 3 << 20
_MOST_DRAFT_BYTES: Final = 1 << 20
# Of a draft: tag and length; of the batch: its id.
_DRAFT_OVERHEAD: Final = 5
_BATCH_OVERHEAD: Final = 256


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that did not become a draft; see `sdk.loading.fault.RowRefused`."""

    row: int
    fault: RowFault
    field: str
    column: str


@dataclass(slots=True)
class Batch:
    """Some rows of a source: ``request`` holds the drafts, ``rows`` the row of each.

    ``read_bytes`` is how far the source was read then, in bytes.
    """

    request: PublishRecordsRequest = field(default_factory=PublishRecordsRequest)
    rows: list[int] = field(default_factory=list[int])
    refused: list[RefusedRow] = field(default_factory=list[RefusedRow])
    read_bytes: int = 0

    @property
    def row_count(self) -> int:
        """How many rows it covers."""
        return len(self.rows) + len(self.refused)


def batches(rows: RowReader, maker: DraftMaker) -> Iterator[Batch]:
    """Yield every row of a source in a batch, in order. Raises what reading raises."""
    batch, size = Batch(), _BATCH_OVERHEAD
    for row in rows:
        made = _made(row, maker)
        if isinstance(made, RefusedRow):
            batch.refused.append(made)
        else:
            added = made.ByteSize() + _DRAFT_OVERHEAD
            if size + added > _MOST_BYTES:
                yield _closed(batch, rows)
                batch, size = Batch(), _BATCH_OVERHEAD
            batch.request.records.append(made)
            batch.rows.append(row.number)
            size += added
        if len(batch.rows) == MOST_DRAFTS or batch.row_count == _MOST_ROWS:
            yield _closed(batch, rows)
            batch, size = Batch(), _BATCH_OVERHEAD
    if batch.row_count:
        yield _closed(batch, rows)


def _made(row: Row | BadRow, maker: DraftMaker) -> RecordDraft | RefusedRow:
    if isinstance(row, BadRow):
        return RefusedRow(row.number, row.fault, "", row.column)
    try:
        draft = maker.draft(row.cells)
    except RowRefused as refused:
        return RefusedRow(row.number, refused.fault, refused.field, refused.column)
    if draft.ByteSize() > _MOST_DRAFT_BYTES:
        return RefusedRow(row.number, RowFault.RECORD_TOO_LARGE, "content", "")
    return draft


def _closed(batch: Batch, rows: RowReader) -> Batch:
    drawn = sha256(batch.request.SerializeToString(deterministic=True))
    batch.request.batch_id = f"load-{drawn.hexdigest()}"
    batch.read_bytes = rows.read_bytes
    return batch
