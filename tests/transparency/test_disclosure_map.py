"""The map after any history is the map of what is disclosed at its instant (G1, G2, G9)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from gateway.storage.engines import Engines, reading
from gateway.transparency.disclosure_map import ItemUnknown
from gateway.transparency.map_openness import read_openness
from gateway.transparency.map_reader import MapNotReady
from gateway.transparency.map_tables import MAP_HEAD, MAP_MEMBERS, MAP_SETS
from tests.clock import NOW
from tests.examples import examples, rarely_on_postgresql
from tests.stores import PostgresStores, SqliteStores, engines_of
from tests.transparency.mapped import (
    ITEMS,
    LICENCE,
    PENALTY,
    RATING,
    SUBJECTS,
    Mapped,
    admitted,
)

DRAWS = st.lists(
    st.tuples(
        st.sampled_from(
            ("publish", "publish", "publish", "correct", "end", "wait", "protect", "follow")
        ),
        st.integers(0, 5),
        st.integers(0, 2),
        st.integers(-5, 40),
        st.integers(1, 40),
    ),
    min_size=20,
    max_size=50,
)


@dataclass
class History:
    """Plays what was drawn."""

    mapped: Mapped
    live: list[str] = field(default_factory=list[str])

    def play(self, draws: list[tuple[str, int, int, int, int]]) -> None:
        """Play the draws; whenever the map has followed, it must be right."""
        for what, subject, item, start, length in draws:
            getattr(self, what)(subject, item, start, length)
        self.follow(0, 0, 0, 0)

    def publish(self, subject: int, item: int, start: int, length: int) -> None:
        """Disclose a record, from before or later on, with an end or none."""
        from_ = self.mapped.now + start
        until = None if length > 30 else max(from_, self.mapped.now) + length
        own = SUBJECTS[subject], ITEMS[item]
        self.live.append(self.mapped.publish(*own, from_, until, str(length)))

    def correct(self, subject: int, item: int, start: int, length: int) -> None:
        """Correct one of the records, maybe to a period that is over."""
        if self.live:
            record_id = self.live[(subject * 3 + item) % len(self.live)]
            present = self.mapped.store.record(record_id).record
            # What has expired is not disclosed again.
            if not present.HasField("disclosed_until") or (
                self.mapped.now < present.disclosed_until.seconds
            ):
                until = present.disclosed_from.seconds + length
                self.mapped.correct(record_id, until, f"{present.revision} {start}")

    def end(self, subject: int, item: int, start: int, length: int) -> None:
        """Repair one of the records."""
        if self.live:
            self.mapped.end(self.live.pop((subject * 3 + item) % len(self.live)))

    def wait(self, subject: int, item: int, start: int, length: int) -> None:
        """Let time pass."""
        self.mapped.now += length

    def protect(self, subject: int, item: int, start: int, length: int) -> None:
        """Change an item's openness."""
        self.mapped.protect(ITEMS[item], bool(length % 2))

    def follow(self, subject: int, item: int, start: int, length: int) -> None:
        """Let the map follow, and check it."""
        self.mapped.follow()
        self.mapped.require_map_of_the_disclosure()


@settings(
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(DRAWS)
def test_after_any_history_the_map_is_that_of_the_disclosure(
    sqlite_stores: SqliteStores, draws: list[tuple[str, int, int, int, int]]
) -> None:
    with sqlite_stores.database() as database, engines_of(*database) as engines:
        mapped = Mapped(engines)
        History(mapped).play(draws)
        mapped.reader.close()


@settings(
    max_examples=examples(8),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(DRAWS)
def test_after_any_history_the_map_is_that_of_the_disclosure_on_postgresql(
    postgres_stores: PostgresStores, draws: list[tuple[str, int, int, int, int]]
) -> None:
    with postgres_stores.database() as database, engines_of(*database) as engines:
        mapped = Mapped(engines)
        History(mapped).play(draws)
        mapped.reader.close()


async def test_a_tree_of_a_former_form_proves_nothing_until_it_is_made_anew(
    mapped: Mapped,
) -> None:
    """As a store is after an upgrade, with leaves that did not bind their subject."""
    for number, item in enumerate((PENALTY, RATING, RATING)):
        mapped.publish(SUBJECTS[number], item)
    mapped.publish(SUBJECTS[0], RATING, NOW + 5)
    mapped.follow()
    with mapped.engines.evidence.begin() as connection:
        connection.execute(update(MAP_SETS).values(salted_by=MAP_SETS.c.salted_by * 7))
        connection.execute(update(MAP_HEAD).values(form=1))
    with pytest.raises(MapNotReady):
        await mapped.proved(SUBJECTS[1], [RATING])
    mapped.follow()
    mapped.require_map_of_the_disclosure()
    await mapped.proved(SUBJECTS[1], [RATING])
    assert not mapped.writer.step(mapped.now)
    mapped.now += 5
    mapped.follow()
    mapped.require_map_of_the_disclosure()


@pytest.fixture
def mapped(engines: Engines) -> Iterator[Mapped]:
    """A disclosure with nothing disclosed."""
    mapped = Mapped(engines)
    yield mapped
    mapped.reader.close()


@rarely_on_postgresql
def test_a_map_of_thousands_follows_batches_corrections_and_repairs(mapped: Mapped) -> None:
    records = [
        admitted(f"many-{number}", f"{number:018d}", ITEMS[number % 3], NOW, None, "A")
        for number in range(1_500)
    ]
    mapped.publish_all(records)
    mapped.follow()
    mapped.require_map_of_the_disclosure()
    for number in range(0, 1_500, 50):
        mapped.end(f"many-{number}")
        mapped.correct(f"many-{number + 1}", None, "B")
    mapped.follow()
    mapped.require_map_of_the_disclosure()


def test_time_alone_takes_records_in_and_out(mapped: Mapped) -> None:
    mapped.publish(SUBJECTS[0], PENALTY, NOW + 5, NOW + 10)
    mapped.follow()
    sizes: list[int] = []
    for mapped.now in (NOW + 4, NOW + 5, NOW + 9, NOW + 10, NOW + 99):
        mapped.follow()
        mapped.require_map_of_the_disclosure()
        latest = mapped.log.latest()
        assert latest is not None
        sizes.append(latest.size)
    # One head when it begins, one when it is over, none when nothing changed.
    assert sizes == [sizes[0], sizes[0] + 1, sizes[0] + 1, sizes[0] + 2, sizes[0] + 2]


def test_a_clock_set_back_does_not_bring_back_what_expired(mapped: Mapped) -> None:
    mapped.publish(SUBJECTS[0], PENALTY, NOW, NOW + 10)
    mapped.now = NOW + 10
    mapped.follow()
    mapped.now = NOW + 5
    mapped.publish(SUBJECTS[0], LICENCE, NOW, None)
    mapped.follow()
    with reading(mapped.engines.evidence) as connection:
        assert mapped.rows.head(connection).map_time == NOW + 10
        assert connection.execute(select(MAP_SETS.c.item)).scalars().all() == [LICENCE]


def test_an_item_that_becomes_protected_is_moved_and_its_events_keep_their_kind(
    mapped: Mapped,
) -> None:
    mapped.publish(SUBJECTS[0], PENALTY)
    mapped.follow()
    before = mapped.store.head()
    mapped.protect(PENALTY, True)
    mapped.follow()
    mapped.require_map_of_the_disclosure()
    mapped.publish(SUBJECTS[1], PENALTY)
    mapped.follow()
    mapped.require_map_of_the_disclosure()
    with reading(mapped.engines.evidence) as connection:
        openness = read_openness(connection)
    assert openness.protected(PENALTY) is True
    assert not openness.protected_at(PENALTY, before)
    assert openness.protected_at(PENALTY, before + 1)
    assert openness.protected_at(RATING, 1)
    assert openness.protected("unheard-of") is None


def test_a_protected_leaf_never_becomes_again_what_it_was(mapped: Mapped) -> None:
    mapped.publish(SUBJECTS[0], RATING)
    values: set[bytes] = set()
    for _ in range(3):
        mapped.follow()
        with reading(mapped.engines.evidence) as connection:
            values.add(mapped.rows.head(connection).protected_root)
        added = mapped.publish(SUBJECTS[0], RATING)
        mapped.follow()
        with reading(mapped.engines.evidence) as connection:
            values.add(mapped.rows.head(connection).protected_root)
        mapped.end(added)
    assert len(values) == 6


def test_what_ended_leaves_no_trace_in_the_map(mapped: Mapped) -> None:
    mapped.end(mapped.publish(SUBJECTS[0], PENALTY))
    ended = mapped.publish(SUBJECTS[0], RATING)
    mapped.follow()
    mapped.end(ended)
    mapped.follow()
    with reading(mapped.engines.evidence) as connection:
        assert not connection.execute(select(MAP_MEMBERS)).all()
        assert not connection.execute(select(MAP_SETS)).all()


def test_an_event_of_an_item_not_known_yet_waits(mapped: Mapped) -> None:
    item = mapped.catalogue.pop(PENALTY)
    mapped.publish(SUBJECTS[0], PENALTY)
    with pytest.raises(ItemUnknown):
        mapped.follow()
    mapped.catalogue[PENALTY] = item
    mapped.follow()
    mapped.require_map_of_the_disclosure()
