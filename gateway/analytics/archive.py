"""The archive: the ledger's uses as Parquet files by month, extended by what is new.

A folder with a manifest that lists the files that count. Files are never changed; the manifest is
replaced as a whole when new ones are complete, so that a crash adds nothing twice and a reader
never sees half of a run. Nothing in it names a record or a subject.
"""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine

from creditgate.signed_document import PURPOSES
from creditgate.v1.usage_log_pb2 import UsageKind
from gateway.exports.model import Use
from gateway.exports.uses import NOT_BEGUN, Followed, LedgerLost, LedgerUses, heads
from gateway.settle.month import utc_text
from gateway.storage.engines import reading

MANIFEST: Final = "manifest.json"
_LOCK: Final = "archive.lock"
_VERSION: Final = 1
_ROWS_AT_ONCE: Final = 5_000
_LEAST_GROUP: Final = 50_000
"""Uses of a month that are kept in memory before they are written as a row group."""
_KIND: Final = "USAGE_KIND_"
_INSTANT: Final = pa.timestamp("s", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("month", pa.string(), nullable=False),
        pa.field("operator_id", pa.string(), nullable=False),
        pa.field("usage_index", pa.int64(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("reversed_index", pa.int64()),
        pa.field("client_id", pa.string(), nullable=False),
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("chunk", pa.int32(), nullable=False),
        pa.field("decision_id", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("consent", pa.string(), nullable=False),
        pa.field("purpose", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("region", pa.string(), nullable=False),
        pa.field("written_at", _INSTANT, nullable=False),
        pa.field("served_at", _INSTANT, nullable=False),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("unit_price_micro_yuan", pa.int64(), nullable=False),
        pa.field("fee_micro_yuan", pa.int64(), nullable=False),
    ]
)
"""Columns of the archive; ``month`` is that of the use, whichever statement pays, and money at list
price. Of reversals records and fees are negative."""


class ArchiveBusy(RuntimeError):
    """Another process extends the archive."""


class ArchiveUnreadable(ValueError):
    """The archive's manifest is missing, damaged, or of another version."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArchivedFile(_Part):
    """A file that counts, below the archive's folder; ``sha256`` in hexadecimal."""

    name: str
    month: str
    rows: int
    sha256: str


class Manifest(_Part):
    """What an archive holds: of each operator ``(rows of the ledger, sequence of the last)``."""

    version: int = _VERSION
    run: int = 0
    followed: Mapping[str, tuple[int, int]] = {}
    files: tuple[ArchivedFile, ...] = ()


class Extended(NamedTuple):
    """What a run added."""

    uses: int
    files: int


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an archive. Raises ArchiveUnreadable."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        raise ArchiveUnreadable("There is no archive, or its manifest cannot be read.") from None
    if manifest.version != _VERSION:
        raise ArchiveUnreadable("The archive is of another version.")
    return manifest


def extend(folder: Path, records: Engine) -> Extended:
    """Add what the ledger has that the archive has not; blocks.

    What is committed while it runs may be left to the next run. Memory is bounded by
    `_LEAST_GROUP` uses for each month met.

    Raises ArchiveBusy, ArchiveUnreadable, OSError, what the store raises, LookupError where it
    lacks a revenue line, and LedgerLost where the ledger is not the one that was archived.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        before = read_manifest(folder) if (folder / MANIFEST).exists() else Manifest()
        run = _Run(folder, before.run + 1)
        try:
            followed = dict(before.followed)
            for operator_id, uses, to in _news(records, before):
                run.add(uses)
                followed[operator_id] = (to.size, to.sequence)
        finally:
            run.close()
        files = run.files()
        if followed != dict(before.followed):
            _replace(
                folder,
                Manifest(run=run.number, followed=followed, files=(*before.files, *files)),
            )
    return Extended(sum(file.rows for file in files), len(files))


def _news(records: Engine, before: Manifest) -> Iterator[tuple[str, list[Use], Followed]]:
    ledger = LedgerUses()
    with reading(records) as connection:
        grown = heads(connection)
        if any(
            grown.get(operator_id, 0) < size for operator_id, (size, _) in before.followed.items()
        ):
            raise LedgerLost
        for operator_id in sorted(grown):
            at = Followed(*before.followed.get(operator_id, NOT_BEGUN))
            while at.size < grown[operator_id]:
                found = ledger.after(connection, operator_id, at, _ROWS_AT_ONCE)
                if not found:
                    raise LedgerLost
                at = found[-1].to
                yield operator_id, [use for row in found for use in row.uses], at


class _Run:
    """Writes one file for each month that has news."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self._folder = folder
        self._waiting: dict[str, list[Use]] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows: dict[str, int] = {}

    def add(self, uses: list[Use]) -> None:
        """Take uses of any months."""
        for use in uses:
            self._waiting.setdefault(utc_text(use.rated_at)[:7], []).append(use)
        for month, waiting in self._waiting.items():
            if len(waiting) >= _LEAST_GROUP:
                self._write(month)

    def close(self) -> None:
        """Write what waits and end the files."""
        try:
            for month in self._waiting:
                self._write(month)
        finally:
            for writer in self._writers.values():
                writer.close()

    def files(self) -> list[ArchivedFile]:
        """Return what was written, once it is on disk."""
        return [self._written(month) for month in sorted(self._writers)]

    def _name(self, month: str) -> str:
        return f"month={month}/usage-{self.number:08}.parquet"

    def _write(self, month: str) -> None:
        waiting, self._waiting[month] = self._waiting[month], []
        if not waiting:
            return
        if month not in self._writers:
            file = self._folder / self._name(month)
            file.parent.mkdir(mode=0o700, exist_ok=True)
            # A run that did not come to its end may have left one of this name.
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            self._writers[month] = pq.ParquetWriter(file, SCHEMA, compression="zstd")
        columns = [*map(list, zip(*(_row(month, use) for use in waiting), strict=True))]
        self._writers[month].write_table(pa.table(columns, schema=SCHEMA))
        self._rows[month] = self._rows.get(month, 0) + len(waiting)

    def _written(self, month: str) -> ArchivedFile:
        name = self._name(month)
        with (self._folder / name).open("rb") as file:
            os.fsync(file.fileno())
            digest = file_digest(file, "sha256").hexdigest()
        return ArchivedFile(name=name, month=month, rows=self._rows[month], sha256=digest)


def _row(month: str, use: Use) -> tuple[object, ...]:
    return (
        month,
        use.operator_id,
        use.usage_index,
        use.line,
        UsageKind.Name(UsageKind.ValueType(use.kind)).removeprefix(_KIND),
        use.reversed_index,
        use.client_id,
        use.request_id,
        use.chunk,
        use.decision_id,
        use.licence,
        use.consent,
        PURPOSES[use.purpose],
        use.item,
        use.source,
        use.region,
        use.at,
        use.rated_at,
        use.records,
        use.unit_price,
        use.fee,
    )


def _replace(folder: Path, manifest: Manifest) -> None:
    new = folder / f"{MANIFEST}.new"
    new.touch(mode=0o600)
    with new.open("wb") as file:
        file.write(manifest.model_dump_json(indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / MANIFEST)


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep other processes of the host from extending the archive. Raises ArchiveBusy."""
    import fcntl

    with (folder / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveBusy("Another process extends the archive.") from None
        yield
