"""Notes of directories, and those that denied what was proved: kept as evidence."""

from typing import Final, NamedTuple

from sqlalchemy import Engine, delete, select

from gateway.federation.asking.directory_note import EPOCH_SECONDS
from gateway.federation.asking.tables import DIRECTORY_FAULTS, REGION_DIRECTORIES
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT

KEPT_SECONDS: Final = EPOCH_SECONDS
"""For so long the notes of a region's directories are kept."""
DISTRUSTED_SECONDS: Final = 31 * 86_400
"""For so long no directory of a region is relied on, since one of its denied what was proved."""


class KeptNote(NamedTuple):
    """A directory's note; fields as the columns of `tables.REGION_DIRECTORIES`."""

    region: str
    made_at: int
    note: str
    fetched_at: int
    log_size: int


class DirectoryFault(NamedTuple):
    """A directory that denied a subject; fields as the columns of `tables.DIRECTORY_FAULTS`."""

    region: str
    made_at: int
    note: str
    filter: bytes
    log_size: int
    subject: str
    record_id: str
    event_sequence: int
    region_request_id: str
    answer: bytes
    found_at: int


class DirectoryStore:
    """What is kept of directories, in one records store. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep_note(self, note: KeptNote) -> None:
        """Keep a note, and forget those that are too old."""
        row = REGION_DIRECTORIES.c
        with bounded(self._engine) as connection:
            insert = INSERT[connection.dialect.name](REGION_DIRECTORIES)
            connection.execute(insert.values(note._asdict()).on_conflict_do_nothing())
            connection.execute(
                delete(REGION_DIRECTORIES).where(
                    row.region == note.region, row.made_at < note.fetched_at - KEPT_SECONDS
                )
            )

    def keep_fault(self, fault: DirectoryFault) -> None:
        """Keep a directory that denied what was proved; the first proof of each is kept."""
        with bounded(self._engine) as connection:
            insert = INSERT[connection.dialect.name](DIRECTORY_FAULTS)
            connection.execute(insert.values(fault._asdict()).on_conflict_do_nothing())

    def distrusted(self, now: int) -> frozenset[str]:
        """Return the regions whose directories are not relied on at ``now`` (seconds, UTC)."""
        row = DIRECTORY_FAULTS.c
        query = select(row.region).where(row.found_at > now - DISTRUSTED_SECONDS).distinct()
        with reading(self._engine) as connection:
            return frozenset(connection.execute(query).scalars())
