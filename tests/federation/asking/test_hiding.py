"""A directory is found false by records that are proved older than it, and by nothing else."""

from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from creditgate.transparency.note import Checkpoint
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest
from creditgate.v1.usage_log_pb2 import UsageLeaf
from gateway.alerts.tables import ALERTS
from gateway.federation.asking.answers import Chunk
from gateway.federation.asking.believing import Question
from gateway.federation.asking.calls import Verified
from gateway.federation.asking.directories import Directories
from gateway.federation.asking.directory_note import SubjectDirectory, named_by
from gateway.federation.asking.directory_store import DISTRUSTED_SECONDS, DirectoryStore, KeptNote
from gateway.federation.asking.hiding import Hiding
from gateway.federation.asking.log_sizes import APART_SECONDS, LogSizes
from gateway.federation.asking.subject_filter import filter_of
from gateway.federation.asking.tables import DIRECTORY_FAULTS, REGION_DIRECTORIES
from gateway.federation.trust.book import Region
from gateway.storage.engines import Engines, reading
from tests.clock import NOW, StandingClock
from tests.federation.asking.test_sent import plan
from tests.installation import company
from tests.witness.world import Regions, region

NORTH = region("north", log="north.invalid/log+0+key")
LISTED, HIDDEN = company(1), company(2)
# When the directory was made, and when records are proved: 12 events, and heads of the map between.
LOG_SIZE, SIZE_NOW, EVENTS_NOW = 10, 16, 12
NEWEST = LOG_SIZE - (SIZE_NOW - 2) + EVENTS_NOW - 1
"""The newest event that was certainly in the log when the directory was made."""


@dataclass
class Place:
    """What looks at what regions proved, on real stores."""

    engines: Engines
    clock: StandingClock = field(default_factory=StandingClock)
    sizes: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.book = Regions()
        self.book.standing = [NORTH]
        self.store = DirectoryStore(self.engines.records)
        self.log_sizes = LogSizes(lambda: self.sizes, self.clock.now)
        links, tokens = object(), object()
        self.directories = Directories(
            self.book,
            links,  # type: ignore[arg-type]  # nothing is fetched
            tokens,  # type: ignore[arg-type]
            self.clock.now,
            self.store,
            self.log_sizes,
        )
        self.after: Region | None = None

    async def anew(self, _: Region) -> Region | None:
        if self.after is not None:
            self.book.standing = [self.after]
        return self.after

    async def look(self, directory: SubjectDirectory | None, *records: DisclosedRecord) -> int:
        """Look at a chunk; return how many false directories are kept."""
        hiding = Hiding(
            self.book,
            self.anew,
            self.directories,
            self.store,
            self.engines.evidence,
            self.clock,
        )
        query = QueryRecordsRequest(request_id="q-1")
        asked = Question(NORTH, query, "", {}, plan(), {})
        await hiding.look(directory, asked, verified(*records))
        with reading(self.engines.records) as connection:
            return len(connection.execute(select(DIRECTORY_FAULTS)).all())


def verified(*records: DisclosedRecord) -> Verified:
    """Return a chunk that was verified, of no more than its records."""
    chunk = Chunk(
        records=records,
        counts=(len(records),),
        receipt=Receipt(),
        first=0,
        subject_count=1,
        leaf=UsageLeaf(),
        prices={},
        checkpoint=Checkpoint("north.invalid/log", SIZE_NOW, bytes(32)),
        note="",
        last_event=EVENTS_NOW,
    )
    return Verified(chunk, (b"one", b"two"))


def record(subject: str, sequence: int) -> DisclosedRecord:
    return DisclosedRecord(name="records/r-1", subject=subject, event_sequence=sequence)


def directory(log_size: int = LOG_SIZE) -> SubjectDirectory:
    made = filter_of([LISTED], bytes(range(32)))
    named = named_by(NORTH.entity_id, NOW - 60, made)
    return SubjectDirectory(named, made, "note", log_size, NORTH.catalogue_version)


@pytest.fixture
def place(engines: Engines) -> Place:
    return Place(engines)


async def test_a_record_older_than_a_directory_that_denies_it_ends_the_trust_in_it(
    place: Place,
) -> None:
    assert await place.look(directory(), record(LISTED, 3), record(HIDDEN, NEWEST)) == 1
    assert place.store.distrusted(NOW + DISTRUSTED_SECONDS - 1) == {NORTH.entity_id}
    assert place.store.distrusted(NOW + DISTRUSTED_SECONDS) == frozenset()
    with reading(place.engines.records) as connection:
        fault = connection.execute(select(DIRECTORY_FAULTS)).one()
    assert (fault.subject, fault.event_sequence, fault.note) == (HIDDEN, NEWEST, "note")
    assert bytes(fault.filter) == directory().filter.bits
    assert bytes(fault.answer) == b"\0\0\0\3one\0\0\0\3two"
    with reading(place.engines.evidence) as connection:
        assert connection.execute(select(ALERTS.c.operator_id)).scalar_one() == NORTH.operator_id
    # The first proof of each stays.
    assert await place.look(directory(), record(HIDDEN, 1)) == 1


async def test_no_honest_directory_is_found_false(place: Place) -> None:
    # What is in it; what may have come after it; where nothing is known of the log, or it did not
    # stand.
    assert not await place.look(directory(), record(LISTED, 1), record(HIDDEN, NEWEST + 1))
    assert not await place.look(directory(0), record(HIDDEN, 1))
    assert not await place.look(None, record(HIDDEN, 1))
    # An item that was opened since: its records are older than the directory.
    place.after = NORTH._replace(catalogue_version="2")
    assert not await place.look(directory(), record(HIDDEN, 1))
    assert place.store.distrusted(NOW) == frozenset()


async def test_logs_are_as_large_as_they_were_seen_and_of_the_catalogue_of_now(
    place: Place,
) -> None:
    sizes, key = place.log_sizes, NORTH.log_keys["disclosure"]
    for size in (5, 9):
        place.sizes[key] = size
        await sizes.look([NORTH])
        place.clock.at += APART_SECONDS
    # Not looked at again at once.
    await sizes.look([NORTH])
    place.sizes[key] = 99
    await sizes.look([NORTH])
    at = [sizes.at(NORTH, NOW + seconds) for seconds in (-1, 0, APART_SECONDS - 1, APART_SECONDS)]
    assert at == [0, 5, 5, 9]
    assert sizes.at(NORTH, NOW + 1_000) == 9
    assert sizes.at(NORTH._replace(catalogue_version="2"), NOW + 1_000) == 0
    assert sizes.at(region("south"), NOW + 1_000) == 0
    place.clock.at += 10_000
    await sizes.look([NORTH])
    assert sizes.at(NORTH, place.clock.at - 1) == 0


def test_notes_are_kept_for_a_while(place: Place) -> None:
    for made_at in (NOW - 8 * 86_400, NOW - 86_400, NOW - 86_400, NOW):
        place.store.keep_note(KeptNote(NORTH.entity_id, made_at, "note", made_at, 7))
    with reading(place.engines.records) as connection:
        kept = connection.execute(select(REGION_DIRECTORIES.c.made_at)).scalars()
        assert sorted(kept) == [NOW - 86_400, NOW]
