"""Rows of a file as copies: CSV, JSON lines and Parquet of record, content and period.

Columns: ``record_id``; ``content``, the bytes served, or ``content_digest`` in its place, also in
rows where ``content`` is empty; ``disclosed_from``; ``disclosed_until``, empty or null where there is no end. Others are
passed over.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sdk.copies import fields
from sdk.copies.fields import FieldRefused
from sdk.copies.held import CopiesRefused, HeldCopy, refused
from sdk.loading.rows import BadRow, SourceRefused
from sdk.loading.sources import open_rows

_CONTENT: Final = "content"
_DIGEST: Final = "content_digest"


def row_copies(path: Path, columns: Sequence[str]) -> Iterator[HeldCopy]:
    """Yield every row of a file that has ``columns`` as a copy.

    What cannot be read is refused and not left out: what is said of copies is said of all.
    Raises CopiesRefused, OSError.
    """
    held = tuple(each for each in (_CONTENT, _DIGEST) if each in columns) or (_DIGEST,)
    wanted = ("record_id", "disclosed_from", "disclosed_until", *held)
    try:
        with closing(open_rows(path, wanted)) as rows:
            for row in rows:
                if isinstance(row, BadRow):
                    where = f" (column {row.column})" if row.column else ""
                    raise refused(path, row.number, f"{row.fault.value}{where}")
                try:
                    yield _copy(row.number, row.cells, held)
                except FieldRefused as fault:
                    raise refused(path, row.number, str(fault)) from None
    except SourceRefused as source:
        raise CopiesRefused(str(source)) from None


def _copy(number: int, cells: Sequence[str], held: Sequence[str]) -> HeldCopy:
    record, begins, ends, *contents = cells
    told = dict(zip(held, contents, strict=True))
    by_digest = _DIGEST in told and not told.get(_CONTENT)
    found = None if by_digest else fields.content_of(told[_CONTENT])
    return HeldCopy(
        number,
        fields.record_id(record),
        found,
        fields.content_digest(told[_DIGEST]) if found is None else fields.digest_of(found),
        fields.disclosed_from(begins),
        fields.disclosed_until(ends),
    )
